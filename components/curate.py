"""Raw listings become clean items without duplicates, in five splits that share no product.

Reads `artifacts/scrape/listings.parquet`; writes `artifacts/curate/<split>.parquet`, `rejects.parquet` with
the rule and the reason of every rejected listing, and three pictures. Nothing is lost: each listing ends in
one split or among the rejects. Partitions of the listings are worked on in parallel, on every core; about 50
bytes of each listing are kept in memory, the rest is on the disk.

A product is a near-duplicate cluster: listings whose descriptions have a Jaccard similarity of word
3-shingles of at least `near_duplicate_similarity`, directly or through others (a description of under 8 words
is compared by its whole text). Titles, prices and categories do not decide: shops list one phone in several
colours, sizes and departments over one description, and such neighbours must not stand on both sides of a
split. All listings of a cluster are kept, unless one repeats another: same price, the same numbers in both
descriptions, no other number in the title and no other value of a specification that both have.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.curate import Curate
from components.core.params.prompt import Prompt
from components.core.params.section import load_section
from components.core.schemas import HELD_OUT, SPLITS, Item, Reject
from components.core.tables import read_arrow, rows_in, split_sorted
from components.curation.columnar import candidates_of
from components.curation.executors import parallel_map
from components.curation.fingerprints import Fingerprints, clean_partition, without_boilerplate
from components.curation.minhash import Map, first_of_equals, search
from components.curation.partitions import Candidates, beside
from components.curation.products import (
    Group,
    allocate,
    grouped_products,
    lowest,
    products_of,
)
from components.curation.rules import NAMES, Rejection, exact_duplicate, near_duplicates, overfull_price_bands
from components.reporting.figures import histograms, waterfall

PARTITION_ROWS = 20_000  # listings that a process works on at a time
TYPES = {"price": pa.float64()}
ITEMS = pa.schema([(name, TYPES.get(name, pa.string())) for name in Item.columns()])
REJECTS = pa.schema([(name, pa.string()) for name in Reject.columns()])
FITTED = [position for position, split in enumerate(SPLITS) if split not in HELD_OUT]
"""Positions in SPLITS of those that a model is fitted on."""


def curate(
    listings: Path, folder: Path, section: Curate, scratch: Path, partition_rows: int, run: Map
) -> dict[str, Any]:
    """Clean and reject listings, find the products and split by product; the order of rows does not matter.

    `listings` is a Parquet file with the columns of `Listing`. Writes the tables into `folder` and returns
    the report. `scratch` gets partitions of about `partition_rows` listings, which `run` works on (`map`, or
    the `map` of an executor). Raises PricewrightError where a split would be empty.
    """
    partitions = split_sorted(listings, scratch, partition_rows, "id")
    fingerprints = Fingerprints.concatenate(list(run(partial(clean_partition, section=section), partitions)))
    fingerprints = without_boilerplate(partitions, fingerprints, section, run)
    first = first_of_equals(fingerprints.key)
    distinct = np.flatnonzero(first == np.arange(len(first)))
    candidates = Candidates(partitions, fingerprints.bounds, scratch / "distinct.npy")
    np.save(candidates.selected, distinct)
    neighbours = search(candidates, fingerprints.shingles[distinct], section.near_duplicate_similarity, run)
    product = products_of(neighbours)
    split = allocate(product, lowest(first, fingerprints.draw)[distinct], section.shares)
    rejections = exact_duplicates(candidates, first)
    groups = grouped_products(neighbours, product, partition_rows)
    for repeated in run(partial(near_duplicates_of, candidates), groups):
        rejections |= repeated
    fitted = np.setdiff1d(distinct[np.isin(split, FITTED)], [*rejections])
    overfull = overfull_price_bands(fingerprints.price[fitted], fingerprints.draw[fitted], section.balance)
    rejections |= {int(fitted[position]): rejection for position, rejection in overfull.items()}
    kept = ~np.isin(distinct, [*rejections])
    report = report_of(fingerprints.rejected, list(rejections.values()), product[kept], split[kept])
    heads, splits = np.arange(len(first)), np.zeros(len(first), np.int8)
    heads[distinct], splits[distinct] = distinct[product], split
    write(folder, candidates, heads, splits, rejections)
    return report


def exact_duplicates(candidates: Candidates, first: np.ndarray) -> dict[int, Rejection]:
    """Rejections of candidates with the words and the price of an earlier candidate, by their position.

    `first` holds for each candidate the position of the first one with the same words and price.
    """
    later = np.flatnonzero(first != np.arange(len(first)))
    earlier = candidates.ids_and_addresses(first[later])
    return {position: exact_duplicate(*earlier[int(first[position])]) for position in later.tolist()}


def near_duplicates_of(candidates: Candidates, group: Group) -> dict[int, Rejection]:
    """Rejections of candidates of a group that repeat an earlier candidate, by their position among all."""
    positions = np.load(candidates.selected, mmap_mode="r")[group.positions]
    rejections = near_duplicates(candidates_of(candidates.table(positions)), group.neighbours)
    return {
        position: rejection
        for position, rejection in zip(positions.tolist(), rejections, strict=True)
        if rejection
    }


# --- tables and report -------------------------------------------------------------------------------


def write(
    folder: Path,
    candidates: Candidates,
    heads: np.ndarray,
    splits: np.ndarray,
    rejections: dict[int, Rejection],
) -> None:
    """Write each split and the rejects, in the order of their ids.

    For each candidate `heads` holds the position of the first candidate of its product, whose id is that of
    the product, and `splits` a position in SPLITS; `rejections` are by position.
    """
    heads_named = candidates.ids_and_addresses(heads[heads != np.arange(len(heads))])
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(pq.ParquetWriter(folder / f"{name}.parquet", schema))
            for name, schema in {**dict.fromkeys(SPLITS, ITEMS), "rejects": REJECTS}.items()
        }
        for partition, start, end in zip(
            candidates.partitions, candidates.bounds[:-1], candidates.bounds[1:], strict=True
        ):
            table = _allocated(
                beside(partition, "cleaned.arrow"), range(start, end), heads, splits, heads_named, rejections
            )
            for name, file in files.items():
                rows = table.filter(pc.equal(table["split"], name))
                if name == "rejects":
                    rows = rows.drop_columns("price").rename_columns({"written": "price"})
                file.write_table(rows.select(file.schema.names))


def _allocated(
    path: Path,
    positions: range,
    heads: np.ndarray,
    splits: np.ndarray,
    heads_named: dict[int, tuple[str, str]],
    rejections: dict[int, Rejection],
) -> pa.Table:
    """The cleaned listings of a partition with rule, reason, product and split.

    `positions` are those of its candidates among all.
    """
    table = read_arrow(path)
    ids, rule, reason = (table[name].to_pylist() for name in ("id", "rule", "reason"))
    product, split = list(ids), ["rejects"] * len(ids)
    rows = [row for row, rejected_by in enumerate(rule) if not rejected_by]
    for row, position in zip(rows, positions, strict=True):
        if rejection := rejections.get(position):
            rule[row], reason[row] = rejection
            continue
        split[row] = SPLITS[splits[position]]
        if heads[position] != position:
            product[row], _ = heads_named[int(heads[position])]
    columns = {"rule": rule, "reason": reason, "product": product, "split": split}
    for name, values in columns.items():
        table = table.drop_columns(name) if name in table.column_names else table
        table = table.append_column(name, pa.array(values, pa.string()))
    return table


def report_of(
    rejected_singly: dict[str, int], rejections: list[Rejection], product: np.ndarray, split: np.ndarray
) -> dict[str, Any]:
    """The report: listings read, listings that each rule rejected, rows and products of each split.

    `rejected_singly` counts by the rules on a single listing; `product` and `split` are those of the rows
    that were kept. Raises PricewrightError where a split has no rows.
    """
    counts = Counter(rejection.rule for rejection in rejections)
    rejected = {rule: rejected_singly[rule] + counts[rule] for rule in NAMES}
    rows = {name: int((split == position).sum()) for position, name in enumerate(SPLITS)}
    report = {
        "listings": sum(rejected.values()) + len(split),
        "rejected": rejected,
        "rows": rows,
        "products": {
            name: len(np.unique(product[split == position])) for position, name in enumerate(SPLITS)
        },
        "largest_product": int(np.bincount(product).max(initial=0)),
    }
    if empty := [name for name, count in rows.items() if not count]:
        by_rule = ", ".join(f"{rule} {count}" for rule, count in rejected.items() if count)
        raise PricewrightError(
            f"no listing is left for {' and '.join(empty)}: {report['listings']} came in, "
            f"{len(split)} were kept; rejected: {by_rule or 'none'}. {_mend(report, len(split))}"
        )
    return report


def _mend(report: dict[str, Any], kept: int) -> str:
    """What to do where a split is empty: the reason may be one product of near duplicates."""
    largest = report["largest_product"]
    if 2 * largest <= kept or largest == 1:
        return "Give more listings, or change `curate` in params.yaml"
    return (
        f"{largest} of them are one product, which stays in one split: near duplicates, directly or through "
        "others, that a text in all of them may tie. Raise curate.near_duplicate_similarity, lower "
        "curate.common_shingle_share, or put the text that they share in curate.boilerplate"
    )


def require_answerable(price_max: float, highest_answer: int) -> None:
    """Raise PricewrightError where listings may cost more than any model can answer."""
    if price_max > highest_answer:
        raise PricewrightError(
            f"curate.price_max {price_max:g} is above the highest answer: raise prompt.price_max "
            f"({highest_answer}), or lower it"
        )


def draw(report: dict[str, Any], folder: Path) -> dict[str, Figure]:
    """The pictures of the data page, by file name: the waterfall, prices and text lengths of the splits."""
    splits = {split: price_and_length(folder / f"{split}.parquet") for split in SPLITS}
    prices = {split: price for split, (price, _) in splits.items()}
    lengths = {split: length for split, (_, length) in splits.items()}
    return {
        "waterfall.png": waterfall(report),
        "prices.png": histograms(prices, "dollars", "Prices of each split"),
        "lengths.png": histograms(lengths, "characters", "Text lengths of each split"),
    }


def price_and_length(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Price and length of the text of each row, read a few rows at a time."""
    batches = pq.ParquetFile(path).iter_batches(PARTITION_ROWS, columns=["price", "text"])
    columns = [(batch["price"].to_numpy(), pc.utf8_length(batch["text"]).to_numpy()) for batch in batches]
    price, length = zip(*columns, strict=True)
    return np.concatenate(price), np.concatenate(length)


def main() -> None:
    """Curate the raw listings; log the first rows of each table and the pictures."""
    with stage.run(Curate) as frame:
        listings = Path("artifacts/scrape/listings.parquet")
        require_answerable(frame.section.price_max, load_section(Prompt).price_max)
        with parallel_map(-(-rows_in(listings) // PARTITION_ROWS)) as run:
            report = curate(listings, frame.folder, frame.section, frame.empty_scratch(), PARTITION_ROWS, run)
        frame.discard_scratch()
        for name in (*SPLITS, "rejects"):
            frame.dataset(f"{name}.parquet")
        for name, figure in draw(report, frame.folder).items():
            frame.picture(figure, name)
        frame.report(report)


if __name__ == "__main__":
    main()
