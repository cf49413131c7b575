"""The training listings that are nearest to a text, over real HTTP and by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from components.core import registry, tracking
from components.core.registry import Version
from components.serving import nearest
from components.serving.nearest import Index, Nearest
from tests.support.echo_version import register_echo
from tests.support.service import NAME, own_registry, running, section

LISTINGS = [
    ("Oak desk", "Oak desk with two drawers", 120.0),
    ("Desk lamp", "Lamp for a desk, brass", 30.0),
    ("Café table", "Round café table of oak", 80.0),
    ("Desk", "A desk", 60.0),
]


@pytest.fixture
def index() -> Index:
    return Index(pd.DataFrame(LISTINGS, columns=["title", "text", "value"]))


def titles(index: Index, text: str) -> list[str]:
    return [listing["title"] for listing in index.nearest(text)]


def test_the_listings_that_share_the_most_and_the_rarest_words_come_first(index: Index) -> None:
    assert index.nearest("brass LAMP")[0] == {"title": "Desk lamp", "value": 30.0}
    assert titles(index, "an oak desk with drawers")[0] == "Oak desk"
    assert titles(index, "cafe") == ["Café table"]
    assert len(titles(index, "a desk of oak")) == 4


@pytest.mark.parametrize("text", ["", "   ", '" OR * NEAR(', "unheard", "\0", "text:desk* AND", "'; DROP"])
def test_whatever_a_text_holds_is_taken_for_words(index: Index, text: str) -> None:
    assert set(titles(index, text)) <= {"Oak desk", "Desk lamp", "Desk"}


def test_of_many_listings_and_words_few_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"Thing {number}", f"thing number{number}", 1.0) for number in range(300)]
    index = Index(pd.DataFrame(rows, columns=["title", "text", "value"]))
    assert titles(index, "thing") == [f"Thing {number}" for number in range(nearest.SHOWN)]
    assert titles(index, " ".join(f"number{number}" for number in range(299, -1, -1)))[0] == "Thing 100"


def test_an_index_is_made_once_for_a_version_and_anew_for_the_next() -> None:
    made = []

    def trained_on(version: Version) -> pd.DataFrame:
        made.append(version.number)
        return pd.DataFrame([LISTINGS[int(version.number)]], columns=["title", "text", "value"])

    async def talk() -> list[str]:
        near = Nearest(trained_on)
        numbers = ["0", "0", "1", "1"]
        answers = [await near.to("a desk", Version(NAME, number, {})) for number in numbers]
        return [listings[0]["title"] for listings in answers]

    assert asyncio.run(talk()) == ["Oak desk", "Oak desk", "Desk lamp", "Desk lamp"]
    assert made == ["0", "1"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """A registry with a version of which the training listings are known, and one of which they are not."""
    folder = tmp_path_factory.mktemp("registry")
    with own_registry(folder, empty_store):
        for price in (1.0, 2.0):
            register_echo(NAME, price)
        yield folder


@pytest.mark.parametrize(("number", "status"), [("1", 200), ("2", 409)])
def test_the_service_shows_them_or_says_that_they_are_kept_nowhere(
    made: Path, monkeypatch: pytest.MonkeyPatch, number: str, status: int
) -> None:
    monkeypatch.chdir(made)
    tracking.connect()
    registry.set_alias(NAME, "champion", number)

    async def talk() -> None:
        async with running(section()) as (client, _):
            for _ in range(2):
                answer = await client.post("/nearest", json={"description": "a brass lamp"})
                assert answer.status_code == status
                if status == 200:
                    first = answer.json()["listings"][0]
                    assert first == {"title": "A lamp", "value": 20.5}
                else:
                    assert answer.json()["message"] == (
                        "the training listings of pricer version 2 are not kept here: "
                        "train.parquet is kept nowhere"
                    )
            assert (await client.post("/nearest", json=[])).status_code == 400
            assert (await client.post("/nearest", json={})).status_code == status

    asyncio.run(talk())
