from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.core.params.curate import Balance
from components.core.params.scrape import Scrape
from components.core.schemas import HELD_OUT, SPLITS, Item, Reject
from components.curate import curate as curate_files
from components.curation.rules import names_of
from components.reporting.figures import histograms, waterfall
from components.reporting.label_shares import label_shares
from tests.support.curated import (
    LABEL_TASK,
    SECTION,
    TASK,
    Curated,
    assert_same,
    catalogue,
    curate,
    listing,
    table,
)
from tests.support.scraped import scrape
from tests.test_scrape import section as scrape_section


@pytest.mark.parametrize("seed", range(25))
def test_nothing_is_lost_and_no_product_is_in_two_splits(seed: int) -> None:
    listings = catalogue(seed, size=30 + 3 * seed)
    curated = curate(listings, SECTION)
    items = pd.concat(curated.splits.values())
    assert sorted([*items["id"], *curated.rejects["id"]]) == sorted(listings["id"])
    assert items.groupby("product")["split"].nunique().max() == 1
    assert items["target"].between(1, 999).all()


def test_listings_of_one_description_are_in_one_split() -> None:
    listings = catalogue(4, size=40)
    curated = curate(listings, SECTION)
    items = pd.concat(curated.splits.values()).merge(listings[["id", "description"]], on="id")
    together = items.groupby("description")["split"].nunique()
    assert together.max() == 1
    assert items["description"].duplicated().any(), "the test compares nothing"


def test_a_listing_that_is_the_gates_is_there_with_its_product_whatever_its_draw() -> None:
    """Some are of products of several listings; what has no listing of the gate stays where it is."""
    listings = catalogue(4, size=60)
    before = pd.concat(curate(listings, SECTION).splits.values()).set_index("id")
    assert before["product"].duplicated().any()
    gate_ids = frozenset(before.index[::3])
    after = pd.concat(curate(listings, SECTION, gate_ids=gate_ids).splits.values()).set_index("id")
    assert set(after.index) == set(before.index)
    own = before["product"].isin(before.loc[list(gate_ids), "product"])
    pd.testing.assert_series_equal(after["split"][~own].sort_index(), before["split"][~own].sort_index())
    moved = after["split"].reindex(before.index[own])
    assert set(moved) <= {"gate", "test"}
    assert set(moved[before["product"][own].map(before["product"].value_counts()) == 1]) == {"gate"}
    assert set(before["split"][own]) == set(SPLITS)


def test_the_result_does_not_depend_on_the_order_of_the_rows() -> None:
    listings = catalogue(2, size=40)
    shuffled = listings.sample(frac=1, random_state=1)
    assert_same(curate(listings, SECTION), curate(shuffled, SECTION))


@pytest.mark.parametrize("rows", [1, 7, 40])
def test_the_result_does_not_depend_on_the_size_of_the_partitions(rows: int) -> None:
    listings = pd.concat([catalogue(2, size=40), catalogue(5, size=30)])  # some ids twice
    assert_same(curate(listings, SECTION, rows), curate(listings, SECTION))


def held_back(curated: Curated) -> dict[str, set[tuple[str, float]]]:
    """Text and price of the rows of each split: a row may be replaced by a twin, which says the same."""
    return {
        split: set(zip(rows["text"], rows["target"], strict=True)) for split, rows in curated.splits.items()
    }


@pytest.mark.parametrize("seed", range(8))
def test_no_row_leaves_test_when_a_file_grows_by_half_is_sorted_anew_and_renamed(
    seed: int, tmp_path: Path
) -> None:
    """The listings come with neighbours and twins, in and out of the older file."""
    listings = catalogue(seed, size=160)[["title", "description", "brand", "details", "price"]]
    twins = listings.tail(20).assign(title=listings["title"].tail(20) + "!")
    curated = []
    for name, rows in {
        "old.csv": listings.head(160),
        "new.csv": pd.concat([listings, twins]).sample(frac=1, random_state=seed),
    }.items():
        rows.to_csv(tmp_path / name, index=False)
        raw = scrape_section("files", [str(tmp_path / name)])
        raw["files"]["columns"] |= {"description": "description", "brand": "brand"}
        curated.append(curate(scrape(Scrape(**raw)).listings, SECTION))
    before, after = map(held_back, curated)
    assert len(after["train"]) > len(before["train"]) > 30
    assert before["test"] <= after["test"]
    assert before["gate"] <= after["gate"] | after["test"]
    assert not before["validation"] & (after["train"] | after["preference"])
    assert not before["preference"] & after["train"]
    ids = [frozenset(items.splits["test"]["id"]) for items in curated]
    assert len(ids[0] & ids[1]) > 0.8 * len(ids[0])


def test_listings_that_are_missing_or_cut_short_are_named(tmp_path: Path) -> None:
    path = tmp_path / "listings.parquet"
    with pytest.raises(PricewrightError, match=r"listings.parquet is missing.*dvc repro"):
        curate_files(path, tmp_path, SECTION, TASK, tmp_path, 10, map, frozenset())
    table([listing(1)]).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(PricewrightError, match=r"not readable as Parquet.*dvc checkout"):
        curate_files(path, tmp_path, SECTION, TASK, tmp_path, 10, map, frozenset())


def test_a_listing_without_a_price_is_rejected_with_a_reason() -> None:
    rejects = curate(table([*map(listing, range(20)), listing(99, price="")]), SECTION).rejects
    assert rejects.to_dict("records") == [
        {
            "id": f"{99:016x}",
            "title": listing(99)["title"],
            "target": "",
            "rule": "no_price",
            "reason": "the source gives no price",
            "source": "files",
            "address": "shop.jsonl:99",
        }
    ]


def test_a_relisting_is_rejected_and_a_dearer_near_duplicate_is_kept_in_its_split() -> None:
    rows = [listing(number) for number in range(20)]
    same = {key: rows[3][key] for key in ("description", "price", "details")}
    rows.append(listing(98, **same, title="Bestseller"))
    rows.append(listing(99, **(same | {"price": "$700"}), title="Bestseller XL"))
    curated = curate(table(rows), SECTION)
    assert curated.rejects[["id", "rule"]].to_numpy().tolist() == [[f"{98:016x}", "near_duplicate"]]
    items = pd.concat(curated.splits.values()).set_index("id")
    assert items.loc[f"{99:016x}", "split"] == items.loc[rows[3]["id"], "split"]
    assert items.loc[f"{99:016x}", "product"] == rows[3]["id"]


def test_many_listings_of_one_title_make_neither_one_product_nor_a_square_of_comparisons() -> None:
    """Thousands of twins stand for the millions of a real catalogue."""
    rows = [listing(number, title="Lamp") for number in range(50)]
    same = {"title": "Lamp", "description": listing(1)["description"], "details": rows[1]["details"]}
    rows += [listing(number, **same) for number in range(50, 6000)]
    curated = curate(table(rows), SECTION)
    report = curated.report
    assert sum(report["products"].values()) == 50
    assert report["rejected"]["price_out_of_range"] == 6000 - 990
    assert report["largest_product"] == 1 + 990 - 50


def test_a_short_description_does_not_make_two_listings_one_product() -> None:
    rows = [listing(number, description="Best of all") for number in range(20)]
    curated = curate(table(rows), SECTION)
    assert sum(curated.report["products"].values()) == 20


def test_the_text_is_clean_without_a_price_and_cut() -> None:
    long = "An <b>oak</b> lamp, yours for $49.99. " + "It is made of good wood. " * 9
    rows = [*map(listing, range(20)), listing(99, title="Oak&nbsp;lamp", description=long)]
    items = pd.concat(curate(table(rows), SECTION).splits.values()).set_index("id")
    text = items.loc[f"{99:016x}", "text"]
    assert text.startswith("Oak lamp\nBrand: Lumo. Weight: 99 kg.\nAn oak lamp, yours. It is")
    assert len(text) <= 120
    assert text.split()[-1] in ["It", "is", "made", "of", "good", "wood."]


def peak_of_curation(listings: pd.DataFrame, folder: Path) -> int:
    """Bytes at the highest that Python and NumPy hold while listings are curated in small partitions."""
    path = folder / f"{len(listings)}.parquet"
    listings.to_parquet(path)
    (scratch := folder / f"{len(listings)}").mkdir()
    tracemalloc.start()
    report = curate_files(path, scratch / "curated", SECTION, TASK, scratch, 100, map, frozenset())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report["rejected"]["exact_duplicate"] == report["rejected"]["near_duplicate"] == len(listings) // 3
    return peak


def test_a_duplicate_more_takes_a_few_bytes_of_memory(tmp_path: Path) -> None:
    """Of three listings one repeats the words of another, and one all but its title."""
    changes = ({}, {}, {"title": "Bestseller"})
    rows = [
        listing(number, id=f"{3 * number + copy:016x}", price=f"${10 + number % 500}", **change)
        for number in range(400)
        for copy, change in enumerate(changes)
    ]
    peak_of_curation(table(rows[:150]), tmp_path)  # what is imported and cached at the first time
    peaks = [peak_of_curation(table(rows[:size]), tmp_path) for size in (300, 1200)]
    assert peaks[1] - peaks[0] < 100 * 900


def test_the_columns_are_those_of_the_contract() -> None:
    curated = curate(catalogue(1, size=40), SECTION)
    assert all(list(rows.columns) == Item.columns() for rows in curated.splits.values())
    assert list(curated.rejects.columns) == Reject.columns()
    for row in pd.concat(curated.splits.values()).to_dict("records"):
        Item(**row)


def test_a_price_in_a_currency_with_a_rate_is_converted_to_the_cent() -> None:
    rows = [*map(listing, range(20)), listing(99, price="40,50 €", currency="EUR")]
    section = SECTION.model_copy(update={"rates": {"EUR": 1.1}})
    items = pd.concat(curate(table(rows), section).splits.values()).set_index("id")
    assert items.loc[f"{99:016x}", "target"] == 44.55


def test_boilerplate_part_numbers_and_dropped_specifications_are_not_in_the_text() -> None:
    changes = {
        "description": "About this item: an oak lamp, part number WPW1032-1304, for desks. Read more",
        "details": json.dumps({"asin": "B00X", "Weight": "9 kg"}),
    }
    items = pd.concat(
        curate(table([*map(listing, range(20)), listing(99, **changes)]), SECTION).splits.values()
    )
    text = items.set_index("id").loc[f"{99:016x}", "text"]
    assert text.endswith("Brand: Lumo. Weight: 9 kg.\nan oak lamp,, for desks.")


def labelled(size: int, seed: int = 1) -> pd.DataFrame:
    """The catalogue with three categories, one of which is rare, and listings without one; some repeat."""
    rng = Random(seed)
    listings = catalogue(seed, size)
    categories = [rng.choice(["Tents", "Lamps", "Lamps", "", "Home > Lamps"]) for _ in range(len(listings))]
    return listings.assign(category=["Saws", "Saws", *categories[2:]])


def test_listings_are_curated_by_their_labels_whatever_their_prices() -> None:
    listings = labelled(60)
    curated = curate(listings, SECTION, task=LABEL_TASK)
    assert curated.names == ["Home", "Lamps", "Tents"]
    items = pd.concat(curated.splits.values())
    label = listings.set_index("id")["category"].replace("Home > Lamps", "Home")
    assert [curated.names[int(target)] for target in items["target"]] == list(label[items["id"]])
    assert items.groupby("product")["split"].nunique().max() == 1
    assert sorted([*items["id"], *curated.rejects["id"]]) == sorted(listings["id"])
    by_rule = curated.rejects.groupby("rule")["id"].agg(set)
    assert by_rule["no_label"] == set(label.index[label == ""])
    assert by_rule["rare_label"] == set(label.index[label == "Saws"])
    assert not set(by_rule.index) & {"no_price", "unreadable_price", "price_out_of_range", "other_currency"}
    rare = curated.rejects[curated.rejects["rule"] == "rare_label"].iloc[0]
    assert (rare["target"], rare["reason"]) == (
        "Saws",
        "fewer than 3 listings have 'Saws' (task.label.rows_min)",
    )
    assert list(curated.report["rejected"]) == list(names_of("label"))
    assert_same(curated, curate(listings.sample(frac=1, random_state=1), SECTION, 7, task=LABEL_TASK))


def test_labels_that_are_named_keep_their_order_and_others_are_rejected() -> None:
    label = LABEL_TASK.label.model_copy(update={"names": ["Tents", "Lamps"]})
    curated = curate(labelled(60), SECTION, task=LABEL_TASK.model_copy(update={"label": label}))
    assert curated.names == ["Tents", "Lamps"]
    unknown = curated.rejects[curated.rejects["rule"] == "unknown_label"]
    assert set(unknown["target"]) == {"Home", "Saws"}
    assert set(pd.concat(curated.splits.values())["target"]) == {0.0, 1.0}


def test_the_same_words_under_one_label_are_a_duplicate_and_under_two_a_conflict_that_is_kept() -> None:
    rows = [listing(number, category=("Tents", "Lamps")[number % 2], price="") for number in range(40)]
    words = {key: rows[4][key] for key in ("title", "description", "details", "brand")}
    rows.append(listing(97, **words, category="Tents"))
    rows.append(listing(98, **words, category="Lamps"))
    rows.append(listing(99, **(words | {"title": "Bestseller"}), category="Tents"))
    curated = curate(table(rows), SECTION, task=LABEL_TASK)
    first = f"{rows[4]['id']} ({rows[4]['address']})"
    assert curated.rejects[["id", "rule", "reason"]].to_numpy().tolist() == [
        [f"{97:016x}", "exact_duplicate", f"same words and label as {first}"],
        [f"{99:016x}", "near_duplicate", f"like description and same label as {first}"],
    ]
    items = pd.concat(curated.splits.values()).set_index("id")
    assert items.loc[f"{98:016x}", "product"] == rows[4]["id"]
    assert items.loc[f"{98:016x}", "split"] == items.loc[rows[4]["id"], "split"]


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([""], "0 of 0 labels.*40 of 40 listings have none"),
        (["Lamps"], "1 of 1 labels.*'Lamps' 40.*nothing to tell apart"),
        ([f"label {number}" for number in range(40)], "0 of 40 labels.*Lower task.label.rows_min"),
    ],
    ids=["missing", "constant", "each once"],
)
def test_labels_of_which_nothing_can_be_learned_are_an_error(categories: list[str], message: str) -> None:
    rows = [listing(number, category=categories[number % len(categories)]) for number in range(40)]
    with pytest.raises(PricewrightError, match=message):
        curate(table(rows), SECTION, 7, task=LABEL_TASK)


def test_the_picture_of_labels_shows_every_split_and_the_commonest_labels() -> None:
    names = [f"label {place}" for place in range(50)]
    places = {split: np.arange(200.0) % (50 - position) for position, split in enumerate(SPLITS)}
    [axes] = (figure := label_shares(places, names)).axes
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert len(shown) == 30
    assert set(shown) <= set(names)
    assert {text.get_text().split()[0] for text in figure.legends[0].get_texts()} == set(SPLITS)
    assert axes.get_title() == "Labels of each split, the 30 commonest of 50"


def test_balance_thins_the_fitted_splits_and_no_scored_one() -> None:
    rows = [listing(number, price=f"${10 + (number % 40) ** 2 / 2}") for number in range(400)]
    section = SECTION.model_copy(update={"balance": Balance(band=100.0, strength=1.0)})
    whole, thinned = curate(table(rows), SECTION), curate(table(rows), section)
    for split in SPLITS:
        assert (len(thinned.splits[split]) == len(whole.splits[split])) == (split in HELD_OUT), split
    left_out = thinned.rejects[thinned.rejects["rule"] == "overfull_price_band"]
    assert len(left_out) == len(thinned.rejects) - len(whole.rejects)
    bands = pd.concat([thinned.splits[split]["target"] // 100 for split in SPLITS if split not in HELD_OUT])
    before = pd.concat([whole.splits[split]["target"] // 100 for split in SPLITS if split not in HELD_OUT])
    assert bands.value_counts().max() < before.value_counts().max()


def test_an_empty_split_is_an_error_with_the_count_of_each_rule() -> None:
    rows = [listing(1), listing(2), listing(3, price=""), listing(4, price="call"), listing(5, price="call")]
    with pytest.raises(
        PricewrightError, match=r"5 came in, 2 were kept; rejected: no_price 1, unreadable_price 2"
    ):
        curate(table(rows), SECTION)
    with pytest.raises(PricewrightError, match="0 came in"):
        curate(table([]), SECTION)


def test_the_report_counts_every_listing_once() -> None:
    report = curate(catalogue(3, size=40), SECTION).report
    assert report["listings"] == 60
    assert sum(report["rejected"].values()) + sum(report["rows"].values()) == 60
    assert min(report["products"].values()) >= 1


def test_the_pictures_show_every_rule_and_every_split() -> None:
    curated = curate(catalogue(3, size=40), SECTION)
    report = curated.report
    bars = waterfall(report).axes[0]
    assert [label.get_text() for label in bars.get_yticklabels()] == [
        "listings",
        *(rule.replace("_", " ") for rule in report["rejected"]),
        "kept",
    ]
    prices = {split: rows["target"].to_numpy() for split, rows in curated.splits.items()}
    legend = histograms(prices, "dollars", "Prices").axes[0].get_legend()
    assert [text.get_text().split()[0] for text in legend.get_texts()] == list(SPLITS)


def test_personal_data_abuse_and_reserved_rights_are_rejected_counted_and_in_the_waterfall() -> None:
    faults = {
        "personal_data": {"description": "A lamp of oak. Ask ann.lee@example.org, she made it by hand"},
        "abuse": {"description": f"A lamp of oak that no {SECTION.abusive_words[0]} ever had in hand"},
        "rights_reserved": {"rights": "tdm-reservation: 1 (meta tag)"},
    }
    sound = [listing(number) for number in range(40)]
    rows = [*sound, *(listing(40 + number, **fault) for number, fault in enumerate(faults.values()))]
    curated = curate(table(rows), SECTION)
    assert curated.rejects.set_index("rule")["id"].to_dict() == {
        rule: f"{40 + number:016x}" for number, rule in enumerate(faults)
    }
    assert {rule: count for rule, count in curated.report["rejected"].items() if count} == dict.fromkeys(
        faults, 1
    )
    labels = [label.get_text() for label in waterfall(curated.report).axes[0].get_yticklabels()]
    assert {rule.replace("_", " ") for rule in faults} <= set(labels)
    open_to_all = {"trainable": ["*"], "refused": [], "unstated": True}
    section = SECTION.model_copy(
        update={"personal_data": True, "abusive_words": [], "rights": type(SECTION.rights)(**open_to_all)}
    )
    assert curate(table(rows), section).rejects.empty
