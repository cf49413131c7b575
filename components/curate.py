"""Raw listings become clean items without duplicates, in four splits that share no product.

Reads `artifacts/scrape/listings.parquet`; writes `artifacts/curate/<split>.parquet`, `rejects.parquet` with
the rule and the reason of every listing that was not taken, and three pictures. Nothing is lost: each
listing ends in one split or among the rejects.

What is one product: listings whose descriptions share `near_duplicate_similarity` of their word 3-shingles
(Jaccard; a description of under 8 words is compared by its whole text), directly or through others.
Titles, prices and categories do not decide: shops list one phone in several colours, sizes and departments
over one description, and such neighbours must not stand on both sides of a split. But neighbours are other
listings, and stay, unless one repeats another: as similar as that, same price, the same numbers in both
descriptions, and no other number in the title and no other value of a specification that both have.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from components import stage
from components.cleaning import clean_details, converted, cut, parse_price, plain, price_currency, tidy
from components.minhash import neighbours
from components.params import Curate
from components.products import allocate, products_of
from components.records import SCORED, SPLITS, Item, Listing, PricewrightError, Reject, Split
from components.rules import (
    NAMES,
    Candidate,
    Verdict,
    exact_duplicates,
    judge,
    near_duplicates,
    overfull_price_bands,
)
from components.shingles import text_shingles, words
from components.text import listing_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, RED, GREEN = "#1b6ca8", "#c0392b", "#2e7d32"
SHORT_DESCRIPTION = 8  # words; a shorter one says too little to tell products apart


@dataclass(frozen=True)
class Curated:
    """What became of the listings; together as many rows as came in."""

    splits: dict[Split, pd.DataFrame]
    """Columns of `Item`."""
    rejects: pd.DataFrame
    """Columns of `Reject`."""


def curate(listings: pd.DataFrame, section: Curate) -> Curated:
    """Clean, reject, find the products and split, whatever the order of `listings` (columns of `Listing`).

    Raises PricewrightError where a split would be empty.
    """
    rows = listings.sort_values(Listing.columns()).to_dict("records")
    bar = tqdm(rows, desc="cleaning", unit="listing", delay=2, leave=False)
    candidates = [clean(row, section) for row in bar]
    judged = _part(candidates, [judge(one, section) for one in candidates])
    distinct = _part(judged.taken, exact_duplicates(judged.taken))
    shingled = text_shingles([_compared(one) for one in distinct.taken])
    alike = neighbours(shingled, section.near_duplicate_similarity)
    product_of = products_of([one.id for one in distinct.taken], alike)
    split_of = allocate(set(product_of.values()), section.shares, section.seed)
    kept = _part(distinct.taken, near_duplicates(distinct.taken, alike))
    fitted = [one for one in kept.taken if split_of[product_of[one.id]] not in SCORED]
    drawn = _part(fitted, overfull_price_bands(fitted, section.balance, section.seed))
    left_out = {reject["id"] for reject in drawn.rejects}
    items = [
        _item(one, product_of[one.id], split_of[product_of[one.id]])
        for one in kept.taken
        if one.id not in left_out
    ]
    return _tables(items, judged.rejects + distinct.rejects + kept.rejects + drawn.rejects)


def clean(row: dict[str, Any], section: Curate) -> Candidate:
    """A listing with its fields cleaned, its price read, its text put together and cut."""
    title, brand, description = (plain(row[key], section) for key in ("title", "brand", "description"))
    details = clean_details(row["details"], section)
    written = tidy(row["price"])
    currencies = {code for code in (row["currency"].strip().upper(), price_currency(written)) if code}
    return Candidate(
        id=row["id"],
        title=title,
        brand=brand,
        category=tidy(row["category"]),
        description=description,
        details=details,
        text=cut(listing_text(title, brand, details, description), section.text_max_characters),
        written=written,
        price=converted(parse_price(written), currencies, section.rates),
        currencies=currencies,
        source=row["source"],
        address=row["address"],
    )


class _Parted(NamedTuple):
    taken: list[Candidate]
    rejects: list[dict[str, Any]]


def _part(candidates: list[Candidate], verdicts: list[Verdict | None]) -> _Parted:
    parted = _Parted([], [])
    for one, verdict in zip(candidates, verdicts, strict=True):
        if verdict:
            parted.rejects.append(_reject(one, verdict))
        else:
            parted.taken.append(one)
    return parted


def _compared(one: Candidate) -> str:
    return one.description if len(words(one.description)) >= SHORT_DESCRIPTION else one.text


# --- tables and pictures -----------------------------------------------------------------------------


def _item(one: Candidate, product: str, split: Split) -> dict[str, Any]:
    fields = one._asdict() | {"details": json.dumps(one.details, ensure_ascii=False)}
    fields |= {"product": product, "split": split}
    return {name: fields[name] for name in Item.columns()}


def _reject(one: Candidate, verdict: Verdict) -> dict[str, Any]:
    fields = one._asdict() | {"price": one.written, **verdict._asdict()}
    return {name: fields[name] for name in Reject.columns()}


def _tables(items: list[dict[str, Any]], rejects: list[dict[str, Any]]) -> Curated:
    table = pd.DataFrame(items, columns=Item.columns())
    splits = {split: table[table["split"] == split].reset_index(drop=True) for split in SPLITS}
    curated = Curated(splits, pd.DataFrame(rejects, columns=Reject.columns()))
    if empty := [split for split, rows in splits.items() if rows.empty]:
        took = ", ".join(f"{rule} {count}" for rule, count in counts(curated)["rejected"].items() if count)
        raise PricewrightError(
            f"no listing is left for {' and '.join(empty)}: {len(items) + len(rejects)} came in, "
            f"{len(items)} were taken; refused: {took or 'none'}. "
            "Give more listings, or change `curate` in params.yaml"
        )
    return curated


def counts(curated: Curated) -> dict[str, Any]:
    """The report: rows in, rows that each rule took, in order, and rows and products of each split."""
    took = curated.rejects["rule"].value_counts()
    rows = {split: len(table) for split, table in curated.splits.items()}
    listed = pd.concat(curated.splits.values())["product"].value_counts()
    return {
        "listings": len(curated.rejects) + sum(rows.values()),
        "rejected": {rule: int(took.get(rule, 0)) for rule in NAMES},
        "rows": rows,
        "products": {split: int(table["product"].nunique()) for split, table in curated.splits.items()},
        "largest_product": int(listed.max()) if len(listed) else 0,
    }


def waterfall(report: dict[str, Any]) -> Figure:
    """From the listings that came in to the rows of the splits: what each rule took away."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5))
    axes = figure.subplots()
    left = report["listings"]
    labels, bars, colours = ["listings"], [(0, left)], [BLUE]
    for rule, took in report["rejected"].items():
        left -= took
        labels.append(rule.replace("_", " "))
        bars.append((left, took))
        colours.append(RED)
    labels.append("taken")
    bars.append((0, left))
    colours.append(GREEN)
    drawn = axes.barh(
        labels, [height for _, height in bars], left=[start for start, _ in bars], color=colours
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.bar_label(drawn, labels=[f"{height:,}" for _, height in bars], padding=3)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * report["listings"])  # room for the last label
    axes.set_xlabel("listings")
    axes.set_title("What each rule refused")
    return figure


def histograms(values: dict[Split, pd.Series], label: str, title: str) -> Figure:
    """One density per split over the same 40 bins."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5))
    axes = figure.subplots()
    bins = np.histogram_bin_edges(pd.concat(values.values()), bins=40).tolist()
    for split, column in values.items():
        filled = {"alpha": 0.35} if split == "train" else {"histtype": "step", "linewidth": 1.4}
        axes.hist(column, bins=bins, density=True, label=f"{split} ({len(column):,})", **filled)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(label)
    axes.set_ylabel("density")
    axes.set_title(title)
    axes.legend()
    return figure


def main() -> None:
    with stage.run("curate") as frame:
        curated = curate(stage.read(Path("artifacts/scrape/listings.parquet")), frame.params.curate)
        for split, rows in curated.splits.items():
            frame.save(f"{split}.parquet", rows, Item)
        frame.save("rejects.parquet", curated.rejects, Reject)
        report = counts(curated)
        prices = {split: rows["price"] for split, rows in curated.splits.items()}
        lengths = {split: rows["text"].str.len() for split, rows in curated.splits.items()}
        frame.picture(waterfall(report), "waterfall.png")
        frame.picture(histograms(prices, "dollars", "Prices of each split"), "prices.png")
        frame.picture(histograms(lengths, "characters", "Text lengths of each split"), "lengths.png")
        frame.report(report)


if __name__ == "__main__":
    main()
