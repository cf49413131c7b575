"""Which requests go with a listing that is forgotten, and what is left of them in the store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.monitoring.truth import answered
from components.provenance.stored_requests import ErasedRequests, erase_requests
from components.serving.request_store import opened
from tests.support.project import TASK
from tests.support.requests import NOW, asked, stored, true

TEXT = "Oak desk of Ann Smith\nTwo drawers, made in 1961, a scratch on the left side."
TEXTS = {"Oak desk", TEXT}
KEYS = ["00ff00ff00ff00ff", "https://shop.example/p/ann-smith"]


def left(address: str) -> list[tuple[str, int]]:
    """Keys and rows of requests, then of truths."""
    with opened(address) as engine, engine.connect() as connection:
        tables = [
            connection.exec_driver_sql(f"SELECT key, row FROM {name}") for name in ("requests", "truths")
        ]
        return [tuple(row) for table in tables for row in table]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.upper().replace("\n", "  "),
        f"For sale! {TEXT} Call me.",
        "oak  desk",
        f"What is {KEYS[1]} worth?",
        f"listing {KEYS[0]}",
    ],
)
def test_a_request_of_the_listing_s_text_goes_with_what_came_true_of_it(tmp_path: Path, text: str) -> None:
    address = stored(tmp_path / "requests.db", asked("a", text), asked("b"), true("a", 1), true("b", 2))
    assert erase_requests(address, TEXTS, KEYS) == ErasedRequests(address, 1, 1, "")
    assert left(address) == [("b", 0), ("b", 0)]
    assert erase_requests(address, TEXTS, KEYS) == ErasedRequests(address, 0, 0, "")


@pytest.mark.parametrize("text", ["Oak desk lamp", "An oak desk", "Two drawers", "", "Ann Smith"])
def test_a_request_that_shares_a_few_words_stays(tmp_path: Path, text: str) -> None:
    address = stored(tmp_path / "requests.db", asked("a", text), true("a", 1))
    assert erase_requests(address, TEXTS, KEYS).requests == 0
    assert left(address) == [("a", 0), ("a", 0)]


def test_of_a_request_with_several_rows_the_others_stay_and_a_key_that_goes_on_keeps_its_truth(
    tmp_path: Path,
) -> None:
    rows = [asked("a", TEXT), asked("a", "a lamp", row=1), asked("again", TEXT), asked("again", "a chair")]
    truths = [true("a", 1), true("a", 2, row=1), true("again", 3)]
    address = stored(tmp_path / "requests.db", *rows, *truths)
    assert erase_requests(address, TEXTS, KEYS) == ErasedRequests(address, 2, 1, "")
    assert left(address) == [("a", 1), ("again", 0), ("a", 1), ("again", 0)]


def test_where_inputs_are_not_kept_the_hash_of_a_text_as_written_tells(tmp_path: Path) -> None:
    rows = [asked("a", TEXT, input=None), asked("b", TEXT.upper(), input=None), asked("c", input=None)]
    address = stored(tmp_path / "requests.db", *rows)
    assert erase_requests(address, TEXTS, KEYS).requests == 1
    assert left(address) == [("b", 0), ("c", 0)]


def test_an_input_of_many_columns_is_searched_in_each_and_thousands_go_too(tmp_path: Path) -> None:
    record = json.dumps({"weight": 3.0, "title": None, "description": TEXT})
    rows = [asked(f"order {number}", input=record, input_sha256=f"{number:064}") for number in range(1100)]
    address = stored(tmp_path / "requests.db", *rows, asked("b"))
    assert erase_requests(address, TEXTS, KEYS).requests == 1100
    with opened(address) as engine:
        assert answered(engine, NOW.replace(year=2000), TASK)["key"].tolist() == ["b"]


def test_nothing_of_a_text_that_was_removed_is_left_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    address = stored(path, asked("a", TEXT), asked("b"))
    assert b"Ann Smith" in path.read_bytes()
    erase_requests(address, TEXTS, KEYS)
    assert b"Ann Smith" not in path.read_bytes()


def test_without_a_store_there_is_nothing_to_remove_and_a_broken_one_is_told(tmp_path: Path) -> None:
    for nowhere in (None, f"sqlite:///{tmp_path}/no.db"):
        assert erase_requests(nowhere, TEXTS, KEYS) == ErasedRequests(nowhere, 0, 0, "")
    (tmp_path / "broken.db").write_text("no database")
    broken = erase_requests(f"sqlite:///{tmp_path}/broken.db", TEXTS, KEYS)
    assert (broken.requests, "does not answer (file is not a database)" in broken.fault) == (0, True)
