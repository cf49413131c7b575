"""People's guesses and endpoints as candidates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.core.params.evaluate import Guesses
from components.core.schemas import Prediction
from components.evaluation import chat_endpoint, external
from tests.support.chat_server import ChatServer, endpoint
from tests.support.project import TASK


@pytest.fixture
def test_items() -> pd.DataFrame:
    texts = [f"Oak desk number {number}" for number in range(5)]
    return pd.DataFrame({"id": list("abcde"), "split": "test", "target": 20.0, "text": texts})


def guesses(folder: Path, text: str) -> Guesses:
    (folder / "guesses.csv").write_text(text, encoding="utf-8")
    return Guesses.model_construct(name="people", path=str(folder / "guesses.csv"))


def test_a_guess_is_measured_on_its_own_row_and_an_unreadable_one_is_counted(
    test_items: pd.DataFrame, tmp_path: Path
) -> None:
    rows = external.guessed(guesses(tmp_path, 'id,value\nd,"$1,300"\na,0\nb,no idea\n'), test_items, TASK)
    assert list(rows.columns) == Prediction.columns()
    assert list(rows["id"]) == ["a", "b", "d"]
    np.testing.assert_array_equal(rows["predicted"], [0.0, np.nan, 1300.0])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("id,guess\na,1\n", "needs the columns id and value"),
        ("id,value\na,1\nz,2\n", "no test listing has the id z"),
        ("id,value\na,1\na,2\n", "names an id twice"),
        ("id,value\n", "is empty"),
        ("", "not readable as CSV"),
    ],
)
def test_a_file_of_guesses_that_does_not_fit_is_refused(
    test_items: pd.DataFrame, tmp_path: Path, text: str, fault: str
) -> None:
    with pytest.raises(PricewrightError, match=fault):
        external.guessed(guesses(tmp_path, text), test_items, TASK)


def test_an_endpoint_prices_its_share_of_the_rows_and_an_unreadable_answer_is_not_0_dollars(
    test_items: pd.DataFrame, chat_server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external, "CACHE", tmp_path)
    chat_server.troubles = [(200, {}, '{"choices": [{"message": {"content": "I cannot say"}}]}')]
    rows, cost = external.answered(endpoint(chat_server, rows=3, concurrency=1), test_items, TASK)
    np.testing.assert_array_equal(rows["predicted"], [np.nan, 10.0, 20.0])
    assert list(rows["id"]) == list("abc")
    assert cost["requests"] == 3
    again = chat_endpoint.ask(endpoint(chat_server), ["Oak desk number 1"], TASK, tmp_path / "frontier")
    assert again.texts == ["$10"]
    assert len(chat_server.requests) == 3, "it is kept where it was put"
