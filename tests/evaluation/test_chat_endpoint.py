"""Endpoints: asked once, politely, with a key that nobody sees; a real server on loopback answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.core.errors import PricewrightError
from components.evaluation.chat_endpoint import ask
from components.model.chat import Pace
from tests.support.chat_server import Model, endpoint, model
from tests.support.project import QUESTION

__all__ = ["model"]  # the fixture
LISTINGS = [f"Oak desk number {number}" for number in range(6)]


def test_answers_come_in_the_order_of_the_listings_and_their_cost_is_counted(
    model: Model, tmp_path: Path
) -> None:
    result = ask(endpoint(model), LISTINGS, QUESTION, tmp_path)
    assert result.texts == ["$0", "$10", "$20", "$30", "$40", "$50"]
    assert (result.prompt_tokens, result.completion_tokens) == (600, 12)
    assert result.dollars == round((600 * 2.5 + 12 * 10) / 1e6, 4)
    assert {body["model"] for body in model.asked} == {"big-1"}
    assert all(body["temperature"] == 0 for body in model.asked)


def test_a_second_run_asks_nothing_and_tells_the_same(model: Model, tmp_path: Path) -> None:
    first = ask(endpoint(model), LISTINGS, QUESTION, tmp_path)
    again = ask(endpoint(model, key_variable="NOT_SET"), LISTINGS, QUESTION, tmp_path)
    assert again == first
    assert len(model.asked) == 6
    ask(endpoint(model, model="big-2"), LISTINGS[:1], QUESTION, tmp_path)
    assert len(model.asked) == 7, "another model is another question"


def test_a_busy_server_is_asked_again(model: Model, tmp_path: Path) -> None:
    model.troubles = [(429, {"retry-after": "0"}, "slow down"), (503, {}, "one moment")]
    assert ask(endpoint(model, concurrency=1), LISTINGS[:2], QUESTION, tmp_path).texts == ["$0", "$10"]
    assert len(model.asked) == 4


def test_what_was_answered_before_it_broke_off_is_not_paid_for_again(model: Model, tmp_path: Path) -> None:
    fine = ask(endpoint(model), LISTINGS[:3], QUESTION, tmp_path)
    model.troubles = [(500, {}, "broken")] * 3
    with pytest.raises(PricewrightError, match="frontier .* does not answer .*status 500.* are kept"):
        ask(endpoint(model, concurrency=1), LISTINGS, QUESTION, tmp_path)
    assert ask(endpoint(model), LISTINGS, QUESTION, tmp_path).texts[:3] == fine.texts
    assert len(model.asked) == 3 + len(LISTINGS), "three failures, and each listing answered once"


def test_a_refused_key_is_not_tried_again_and_not_shown(model: Model, tmp_path: Path) -> None:
    model.troubles = [(401, {}, "wrong key secret-7 for this model")]
    with pytest.raises(PricewrightError, match="status 401: wrong key") as refused:
        ask(endpoint(model, concurrency=1), LISTINGS[:1], QUESTION, tmp_path)
    assert "secret-7" not in str(refused.value)
    assert model.keys == ["Bearer secret-7"]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_key_is_named_before_anything_is_asked(model: Model, tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match="environment variable NOT_SET, which is empty"):
        ask(endpoint(model, key_variable="NOT_SET"), LISTINGS, QUESTION, tmp_path)
    assert model.asked == []


@pytest.mark.parametrize("text", ["<html>hello</html>", "[]", '{"choices": []}'])
def test_a_server_of_another_kind_is_a_clear_error(model: Model, tmp_path: Path, text: str) -> None:
    model.troubles = [(200, {}, text)]
    with pytest.raises(PricewrightError, match="answered no chat completion"):
        ask(endpoint(model, key_variable=None), LISTINGS[:1], QUESTION, tmp_path)


def test_a_refusal_without_text_is_an_empty_answer(model: Model, tmp_path: Path) -> None:
    model.troubles = [(200, {}, '{"choices": [{"message": {"content": null, "refusal": "no"}}]}')]
    assert ask(endpoint(model), LISTINGS[:1], QUESTION, tmp_path).texts == [""]


def test_requests_begin_no_faster_than_agreed_and_wait_when_the_server_asks_for_it() -> None:
    now, begun = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(30, clock=lambda: now[0], sleep=sleep)
    for _ in range(3):
        pace.wait()
        begun.append(now[0])
    pace.pause(20)
    pace.wait()
    assert [*begun, now[0]] == [0.0, 2.0, 4.0, 24.0]
