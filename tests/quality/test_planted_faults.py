"""Twenty faults, each put into the curated catalogue of the demo shop and named by its check."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest

from components.core.params.scrape import Columns, Files
from components.core.schemas import SPLITS, Listing, Split
from components.curation.products import allocate, draws_of
from components.curation.rules import NAMES
from components.quality.consistency import split_shares
from components.quality.expectations import PRICE_IN_TEXT, suites
from components.quality.leakage import measure_leakage
from components.synthetic.catalogue import catalogue
from components.validate import Check, tables_of, validate
from tests.support.curated import Curated, curate
from tests.support.project import ROOT
from tests.support.scraped import scrape
from tests.support.validated import PARAMS


@dataclass
class Clean(Curated):
    """The curated catalogue, with its raw listings."""

    listings: pd.DataFrame


@pytest.fixture(scope="module")
def clean() -> Clean:
    rows = [
        dict.fromkeys(Listing.columns(), "")
        | {
            "id": hashlib.sha256(product.sku.encode()).hexdigest()[:16],
            "title": product.title,
            "description": product.description,
            "brand": product.brand,
            "category": product.category,
            "details": json.dumps(product.details),
            "price": "" if product.price is None else f"${product.price}",
            "amount": "" if product.price is None else str(product.price),
            "currency": "USD",
            "source": "demo_shop",
            "address": f"/p/{product.sku}",
            "page_hash": hashlib.sha256(f"page of {product.sku}".encode()).hexdigest(),
            "places": "{}",
        }
        for product in catalogue(seed=11, listings=1600, noise=0.25)
    ]
    listings = pd.DataFrame(rows, columns=Listing.columns())
    curated = curate(listings, PARAMS.curate)
    return Clean(**vars(curated), listings=listings)


def checks_of(data: Clean, folder: Path, *only: str) -> list[Check]:
    leakage = measure_leakage(data.splits, None, PARAMS.curate.near_duplicate_similarity, 0.5)
    tables = tables_of(
        data.listings,
        data.splits,
        data.rejects,
        leakage,
        None,
        PARAMS.curate,
        PARAMS.task,
        frozenset(),
    )
    expected = suites(data.splits, list(NAMES), PARAMS.validate, PARAMS.task)
    return validate({name: tables[name] for name in only or tables}, expected, folder / "docs")


Fault = Callable[[Clean], None]


def some(rows: pd.DataFrame, share: float) -> np.ndarray:
    """A mask of that share of the rows."""
    return np.random.default_rng(0).permutation(len(rows)) < share * len(rows)


def in_some(share: float, column: str, change: Callable[[pd.Series], object]) -> Fault:
    """A change of a column in that share of the rows of every split."""

    def plant(data: Clean) -> None:
        for rows in data.splits.values():
            picked = some(rows, share)
            rows.loc[picked, column] = change(rows.loc[picked, column])

    return plant


def in_test_text(addition: str) -> Fault:
    def plant(data: Clean) -> None:
        data.splits["test"].loc[3, "text"] += addition

    return plant


def shuffled(column: str) -> Fault:
    return in_some(1.0, column, lambda values: values.sample(frac=1, random_state=1).to_numpy())


def times_ten(data: Clean) -> None:
    """5% of the prices, of those that stay in the range of prices."""
    for rows in data.splits.values():
        cheap = np.flatnonzero(rows["target"] < PARAMS.task.number.max / 10)
        picked = np.random.default_rng(0).permutation(cheap)[: round(0.05 * len(rows))]
        rows.loc[picked, "target"] *= 10


def details_with(name: str, value: str) -> Fault:
    def plant(data: Clean) -> None:
        rows = data.splits["test"]
        rows.loc[3, "details"] = json.dumps(json.loads(rows.loc[3, "details"]) | {name: value})

    return plant


def train_on(change: Callable[[str], str]) -> Fault:
    """A row of training becomes a test row, in other words."""

    def plant(data: Clean) -> None:
        test = data.splits["test"].loc[3]
        for column in ("title", "brand", "category", "target", "details"):
            data.splits["train"].loc[5, column] = test[column]
        data.splits["train"].loc[5, "text"] = change(test["text"])

    return plant


def in_other_words(text: str) -> str:
    """The same numbers in sentences that share no three words with the text."""
    numbers = "".join(sign if sign.isdigit() or sign == "." else " " for sign in text).split()
    sentences = [f"Here somebody counted {number} with care." for number in numbers]
    Random(0).shuffle(sentences)
    return " ".join(sentences)


def one_text_twice(data: Clean) -> None:
    rows = data.splits["train"]
    rows.loc[5, "text"], rows.loc[5, "target"] = rows.loc[6, "text"], rows.loc[6, "target"] + 10


@pytest.mark.parametrize("drawn_from", [list(SPLITS), ["gate"]], ids=["all that is new", "the gate"])
def test_listings_that_the_gate_keeps_are_no_split_that_is_off(drawn_from: list[Split]) -> None:
    """A quarter of the listings came in later; all of them, or those that fell to the gate, are its own."""
    rows = pd.DataFrame({"id": [f"{number:016x}" for number in range(4000)]})
    draws = draws_of(rows["id"].tolist(), PARAMS.curate.seed)
    places = allocate(np.arange(len(rows)), draws, PARAMS.curate.shares)
    rows = rows.assign(product=rows["id"], split=[SPLITS[place] for place in places])
    kept = rows.index.isin(rows.index[-1000:]) & rows["split"].isin(drawn_from)
    rows.loc[kept, "split"] = "gate"
    none = pd.DataFrame({"reason": []})
    options = none, PARAMS.curate
    assert (split_shares(rows, *options, frozenset(rows["id"][kept]))["difference"] == 0).all()
    off = split_shares(rows, *options, frozenset())["difference"].max()
    assert (off > PARAMS.validate.share_difference_max) == (drawn_from != ["gate"])


def move_most_of_test(data: Clean) -> None:
    most = len(data.splits["test"]) * 2 // 3
    moved = data.splits["test"].head(most).assign(split="train")
    data.splits["train"] = pd.concat([data.splits["train"], moved], ignore_index=True)
    data.splits["test"] = data.splits["test"].tail(-most).reset_index(drop=True)


def no_page_hashes(data: Clean) -> None:
    data.listings = data.listings.assign(page_hash="")


def reserve_a_row(data: Clean) -> None:
    reserved = data.listings["id"] == data.splits["train"].loc[5, "id"]
    data.listings.loc[reserved, "rights"] = "tdm-reservation: 1 (meta tag)"


def reject_a_row(data: Clean) -> None:
    data.rejects.loc[0, "id"] = data.splits["train"].loc[5, "id"]


def one_price_in_test(data: Clean) -> None:
    data.splits["test"]["target"] = 40.0


GERMAN = (
    "Das ist eine gute Wahl für den Alltag und wird mit einer Anleitung geliefert. Auch für die Reise ist es "
    "nicht zu schwer, und sie können es von Hand reinigen. "
)
FAULTS: dict[str, tuple[bool, str, str, Fault]] = {
    "labels shuffled": (True, "labels", "prices_follow_texts", shuffled("target")),
    "5% of prices times ten": (True, "labels", "no_prices_far_above_their_texts", times_ten),
    "5% of prices the shipping cost": (
        True,
        "labels",
        "no_sum_in_place_of_prices",
        in_some(0.05, "target", lambda _: 4.99),
    ),
    "a price in another currency": (True, "test", "text_without_price", in_test_text(" Now for 49 zł.")),
    "a sign after the number": (True, "test", "text_without_price", in_test_text(" Yours for 40.00$")),
    "a price in words": (True, "test", "text_without_price", in_test_text(" It is forty dollars.")),
    "a price in details": (True, "test", "details_without_price", details_with("Offer", "40.00$")),
    "a price named in details": (True, "test", "details_without_price_name", details_with("Our price", "40")),
    "mojibake in texts": (
        True,
        "curated",
        "text_readable",
        in_some(0.05, "text", lambda texts: texts + " für jeden – täglich".encode().decode("cp1252")),
    ),
    "U+FFFD in a fifth of texts": (
        True,
        "curated",
        "text_readable",
        in_some(0.2, "text", lambda texts: texts.str.replace("e", "\ufffd", n=1)),
    ),
    "a near duplicate of a test row in training": (
        True,
        "leaks",
        "no_near_duplicate_in_training",
        train_on(lambda text: f"{text} Again."),
    ),
    "a paraphrase of a test row in training": (
        False,
        "paraphrases",
        "no_paraphrase_in_training",
        train_on(in_other_words),
    ),
    "one text with two prices": (False, "repeated_texts", "one_price_for_a_text", one_text_twice),
    "brand empty everywhere": (False, "test", "mostly_branded", in_some(1.0, "brand", lambda _: "")),
    "categories shuffled": (False, "labels", "categories_follow_texts", shuffled("category")),
    "a third of texts in another language": (
        False,
        "languages",
        "one_language",
        in_some(0.34, "text", lambda texts: GERMAN + texts.str[:60]),
    ),
    "split shares off": (True, "shares", "split_shares", move_most_of_test),
    "page hashes empty": (True, "raw", "page_hash_form", no_page_hashes),
    "a row whose use is reserved": (True, "conflicts", "no_reserved_row", reserve_a_row),
    "an id in rejects and in train": (True, "conflicts", "no_rejected_row", reject_a_row),
    "all test prices equal": (True, "labels", "prices_differ", one_price_in_test),
}


def test_the_clean_catalogue_raises_no_alarm(clean: Clean, tmp_path: Path) -> None:
    checks = checks_of(clean, tmp_path)
    assert [(check.table, check.name, check.examples) for check in checks if not check.passed] == []
    judged = {(check.table, check.name) for check in checks}
    assert {(table, name) for _, table, name, _ in FAULTS.values()} <= judged


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_by_its_check(fault: str, clean: Clean, tmp_path: Path) -> None:
    critical, table, name, plant = FAULTS[fault]
    data = deepcopy(clean)
    plant(data)
    failed = {check.name: check for check in checks_of(data, tmp_path, table) if not check.passed}
    assert name in failed
    assert failed[name].critical == critical


def test_a_test_split_of_shuffled_prices_alone_is_named(clean: Clean, tmp_path: Path) -> None:
    data = deepcopy(clean)
    rows = data.splits["test"]
    rows["target"] = rows["target"].sample(frac=1, random_state=1).to_numpy()
    failed = {check.name for check in checks_of(data, tmp_path, "labels") if not check.passed}
    assert "prices_follow_texts" in failed


@pytest.mark.parametrize(
    "text", ["with an RS232 port", "for Rs485 and Rs422", "Urban Designs 7726993 Euro Crystal Table Lamp"]
)
def test_names_of_interfaces_are_no_prices_in_another_currency(text: str) -> None:
    assert not re.search(PRICE_IN_TEXT, text)


REAL = ROOT.parent / "shared" / "data" / "listings"


@pytest.mark.slow
@pytest.mark.skipif(
    not REAL.is_dir(), reason="the real listings lie beside the project only where it is built"
)
@pytest.mark.parametrize(
    ("name", "mapped"),
    [
        ("amazon_items.jsonl", {"details": "details", "brand": "details.Brand", "currency": "currency"}),
        ("electronics_store.jsonl", {"title": "name", "category": "categories", "brand": "brand"}),
    ],
)
def test_real_listings_raise_no_critical_alarm(name: str, mapped: dict[str, str], tmp_path: Path) -> None:
    own = PARAMS.scrape.files.columns.model_dump() | mapped
    changes = {"paths": [str(REAL / name)], "columns": Columns(**own)}
    files = Files(**PARAMS.scrape.files.model_dump() | changes)
    source = PARAMS.scrape.model_copy(update={"source": "files", "files": files})
    listings = scrape(source).listings
    curated = curate(listings, PARAMS.curate)
    data = Clean(**vars(curated), listings=listings)
    assert sum(map(len, curated.splits.values())) > 1000
    alarms = [check for check in checks_of(data, tmp_path) if check.critical and not check.passed]
    assert [(check.table, check.name, check.examples) for check in alarms] == []
