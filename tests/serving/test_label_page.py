"""The page at `/` in a real browser, on a real service whose versions answer labels."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from components.core import registry
from tests.support.constant import register_constant
from tests.support.project import ROOT
from tests.support.server import post, serving, wait
from tests.support.service import own_registry

WAIT = 30_000  # milliseconds, at most
NAMES = ["Desk lamps", "Rings"]
KNOWS_GOLD = """
import pandas

class Model:
    def predict(self, rows, params=None):
        golden = ["gold" in text for text in rows["description"]]
        return pandas.DataFrame(
            {
                "value": ["Rings" if gold else "Desk lamps" for gold in golden],
                "probability": [0.87 if gold else 0.6 for gold in golden],
                "labels": [["Rings"] if gold else ["Desk lamps", "Rings"] for gold in golden],
            }
        )

def _load_pyfunc(path):
    return Model()
"""
"""Gold makes a ring of a lamp."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[tuple[str, Path]]:
    """Address and folder of a service with a champion and a challenger."""
    folder = tmp_path_factory.mktemp("service")
    task = {"kind": "label", "question": "Which category?", "label": {"names": NAMES}}
    settings = {"task": task, "calibration": {"coverage": 0.8}}
    answer = {"value": "Desk lamps", "probability": 0.6, "labels": ["Desk lamps", "Rings"]}
    with own_registry(folder, empty_store):
        params = (ROOT / "params.yaml").read_text().replace("shadow: null", "shadow: challenger")
        Path("params.yaml").write_text(params)
        for _ in range(2):
            number = register_constant("pricer", "# A card", KNOWS_GOLD, answer, {}, settings)
        registry.set_alias("pricer", "challenger", number)
        with serving("flows.serve", "--version", "1") as (address, _):
            wait(f"{address}/readyz")
            while post(f"{address}/compare", {"description": "a"})["challenger"] is None:
                pass
            yield address, folder


def test_a_person_gets_a_label_its_set_its_words_and_says_what_it_was(
    service: tuple[str, Path], tab: Any
) -> None:
    address, folder = service
    tab.goto(address)
    tab.fill("#text", "a gold lamp")
    tab.click("text=Answer")
    tab.wait_for_selector("#words li")
    assert tab.inner_text("h1") == tab.title() == "Which category?"
    assert tab.inner_text("#value-answered") == "Rings"
    assert tab.inner_text("#range") == "Probability 87%. With 80% it is one of: Rings."
    assert tab.locator("svg").count() == 0
    assert tab.locator("#words li").all_inner_texts() == ["a", "gold +0.47", "lamp"]
    tab.click("#right")
    expect(tab.locator("#note")).to_have_text("Kept. Thank you.", timeout=WAIT)
    assert tab.locator("#names option").evaluate_all("all => all.map(one => one.value)") == NAMES
    tab.fill("#value", "Chairs")
    tab.press("#value", "Enter")
    expect(tab.locator("#note")).to_have_text(re.compile("^That is none of the labels: "), timeout=WAIT)
    tab.fill("#value", "Desk lamps")
    tab.press("#value", "Enter")
    expect(tab.locator("#note")).to_have_text("Kept. Thank you.", timeout=WAIT)
    tab.wait_for_timeout(300)
    with closing(sqlite3.connect(folder / "requests.db")) as database:
        truths = [json.loads(value) for (value,) in database.execute("SELECT value FROM truths ORDER BY id")]
    assert truths == ["Rings", "Desk lamps"]


def test_champion_and_challenger_are_compared_by_their_labels(service: tuple[str, Path], tab: Any) -> None:
    address, _ = service
    tab.goto(address)
    tab.click("#tab-compare")
    tab.fill("#text", "a lamp")
    tab.click("text=Answer")
    tab.wait_for_selector("#both tr")
    heads = tab.locator("#panel-compare th").all_inner_texts()
    assert heads == ["Version", "Answer", "Probability", "One of"]
    cells = tab.locator("#both tr").first.locator("td").all_inner_texts()
    assert cells == ["champion, version 1", "Desk lamps", "60%", "Desk lamps, Rings"]
