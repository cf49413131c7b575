"""Raw listings become clean items without duplicates, in four splits that share no product.

Reads `artifacts/scrape/listings.parquet`; writes `artifacts/curate/<split>.parquet`, `rejects.parquet` with
the rule and the reason of every rejected listing, and three pictures. Nothing is lost: each listing ends in
one split or among the rejects. The listings pass through in parts, on every core; in memory stay some 50
bytes of each, the rest waits on the disk.

What is one product: listings whose descriptions share `near_duplicate_similarity` of their word 3-shingles
(Jaccard; a description of under 8 words is compared by its whole text), directly or through others.
Titles, prices and categories do not decide: shops list one phone in several colours, sizes and departments
over one description, and such neighbours must not stand on both sides of a split. But neighbours are other
listings, and stay, unless one repeats another: as similar as that, same price, the same numbers in both
descriptions, and no other number in the title and no other value of a specification that both have.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

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
from components.core.schemas import SCORED, SPLITS, Item, Listing, Reject
from components.curation.columnar import candidates_of, cleaned
from components.curation.executors import parallel_map
from components.curation.minhash import Map, band_keys, first_of_equals, search, shape
from components.curation.partitions import (
    Candidates,
    beside,
    first_rows,
    read_arrow,
    rows_in,
    split_sorted,
    write_arrow,
)
from components.curation.products import Group, allocate, draws_of, grouped_products, products_of
from components.curation.rules import NAMES, Rejection, exact_duplicate, near_duplicates, overfull_price_bands
from components.curation.shingles import SHINGLE, mixed, sequence_hashes, set_hashes, shingles, word_hashes
from components.reporting.figures import histograms, waterfall

SHORT_DESCRIPTION = 8  # words; a shorter one says too little to tell products apart
PART = 20_000  # listings that a process works on at a time
SHOWN = 10_000  # rows of each table that MLflow gets to see
TYPES = {"price": pa.float64()}
ITEMS = pa.schema([(name, TYPES.get(name, pa.string())) for name in Item.columns()])
REJECTS = pa.schema([(name, pa.string()) for name in Reject.columns()])
FITTED = [place for place, split in enumerate(SPLITS) if split not in SCORED]


def curate(
    listings: Path, folder: Path, section: Curate, scratch: Path, part_rows: int, run: Map
) -> dict[str, Any]:
    """Clean, reject, find the products and split, whatever the order of `listings` (a file of `Listing`).

    Writes the tables into `folder` and returns the report; `scratch` is for parts of about `part_rows`
    listings, and `run` does the work (`map`, or that of an executor).
    Raises PricewrightError where a split would be empty.
    """
    parts = split_sorted(listings, scratch, part_rows)
    prints = Fingerprints.of(list(run(partial(clean_part, section=section), parts)))
    first = first_of_equals(prints.key)
    distinct = np.flatnonzero(first == np.arange(len(first)))
    candidates = Candidates(parts, prints.bounds, scratch / "distinct.npy")
    np.save(candidates.selected, distinct)
    neighbours = search(candidates, prints.shingles[distinct], section.near_duplicate_similarity, run)
    product = products_of(neighbours)
    split = allocate(product, prints.draw[distinct], section.shares)
    rejections = exact_duplicates(candidates, first)
    for repeated in run(partial(repeats, candidates), grouped_products(neighbours, product, part_rows)):
        rejections |= repeated
    fitted = np.setdiff1d(distinct[np.isin(split, FITTED)], [*rejections])
    overfull = overfull_price_bands(prints.price[fitted], prints.draw[fitted], section.balance)
    rejections |= {int(fitted[place]): rejection for place, rejection in overfull.items()}
    kept = ~np.isin(distinct, [*rejections])
    report = report_of(prints.rejected, list(rejections.values()), product[kept], split[kept])
    heads, splits = np.arange(len(first)), np.zeros(len(first), np.int8)
    heads[distinct], splits[distinct] = distinct[product], split
    write(folder, candidates, heads, splits, rejections)
    return report


class Fingerprints(NamedTuple):
    """What is kept in memory of every candidate that passed the rules on a single listing, in order."""

    key: np.ndarray
    """uint64: equal where words and price are."""
    shingles: np.ndarray
    """uint64: equal where the shingles are."""
    price: np.ndarray
    draw: np.ndarray
    """uint64: see `draws_of`."""
    bounds: np.ndarray
    """Places of each part among all: int64 of shape (parts + 1,)."""
    rejected: dict[str, int]
    """How many listings each of those rules rejected."""

    @classmethod
    def of(cls, parts: list[Fingerprints]) -> Fingerprints:
        """Those of all parts, one part after another."""
        key, shingles, price, draw = (np.concatenate([part[place] for part in parts]) for place in range(4))
        bounds = np.cumsum([0, *(len(part.key) for part in parts)])
        rejected = {rule: sum(part.rejected[rule] for part in parts) for rule in NAMES}
        return cls(key, shingles, price, draw, bounds, rejected)


def clean_part(part: Path, section: Curate) -> Fingerprints:
    """Clean the listings of a part, apply the rules on a single listing, and write beside the part what later
    steps need of its candidates.
    """
    listings = read_arrow(part).sort_by([(name, "ascending") for name in Listing.columns()])
    part.unlink()
    table = cleaned(listings, section)
    write_arrow(table, beside(part, "cleaned.arrow"))
    counts = table["rule"].value_counts().to_pylist()
    rejected = dict.fromkeys(NAMES, 0) | {row["values"]: row["counts"] for row in counts if row["values"]}
    table = table.filter(pc.equal(table["rule"], ""))
    texts, described = (table[name].combine_chunks() for name in ("text", "description"))
    short = pc.less(pa.array(np.diff(word_hashes(described).bounds)), SHORT_DESCRIPTION)
    compared = shingles(word_hashes(pc.if_else(short, texts, described)), SHINGLE)
    np.save(beside(part, "shingles.npy"), compared.values)
    np.save(beside(part, "bounds.npy"), compared.bounds)
    similarity = section.near_duplicate_similarity
    bands = [band_keys(compared, similarity, band) for band in range(shape(similarity)[0])]
    np.save(beside(part, "bands.npy"), bands)
    price = table["price"].to_numpy()
    key = mixed(sequence_hashes(word_hashes(texts)) ^ mixed(price.view(np.uint64)))
    draw = draws_of(table["id"].to_pylist(), section.seed)
    return Fingerprints(key, set_hashes(compared), price, draw, np.empty(0), rejected)


def exact_duplicates(candidates: Candidates, first: np.ndarray) -> dict[int, Rejection]:
    """Rejections of candidates whose words and price an earlier candidate has, by their place among all."""
    later = np.flatnonzero(first != np.arange(len(first)))
    names = candidates.names(first[later])
    return {place: exact_duplicate(*names[int(first[place])]) for place in later.tolist()}


def repeats(candidates: Candidates, group: Group) -> dict[int, Rejection]:
    """Rejections of candidates of a group that repeat an earlier listing, by their place among all."""
    places = np.load(candidates.selected, mmap_mode="r")[group.places]
    rejections = near_duplicates(candidates_of(candidates.table(places)), group.neighbours)
    return {
        place: rejection for place, rejection in zip(places.tolist(), rejections, strict=True) if rejection
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

    For each place among the candidates `heads` has the first place of its product, `splits` one in SPLITS.
    """
    names = candidates.names(heads[heads != np.arange(len(heads))])
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(pq.ParquetWriter(folder / f"{name}.parquet", schema))
            for name, schema in {**dict.fromkeys(SPLITS, ITEMS), "rejects": REJECTS}.items()
        }
        for part, start, end in zip(
            candidates.parts, candidates.bounds[:-1], candidates.bounds[1:], strict=True
        ):
            table = _allocated(
                beside(part, "cleaned.arrow"), range(start, end), heads, splits, names, rejections
            )
            for name, file in files.items():
                rows = table.filter(pc.equal(table["split"], name))
                if name == "rejects":
                    rows = rows.drop_columns("price").rename_columns({"written": "price"})
                file.write_table(rows.select(file.schema.names))


def _allocated(
    path: Path,
    places: range,
    heads: np.ndarray,
    splits: np.ndarray,
    names: dict[int, tuple[str, str]],
    rejections: dict[int, Rejection],
) -> pa.Table:
    """The cleaned listings of a part with rule, reason, product and split; `places` of its candidates."""
    table = read_arrow(path)
    ids, rule, reason = (table[name].to_pylist() for name in ("id", "rule", "reason"))
    product, split = list(ids), ["rejects"] * len(ids)
    rows = [row for row, rejected_by in enumerate(rule) if not rejected_by]
    for row, place in zip(rows, places, strict=True):
        if rejection := rejections.get(place):
            rule[row], reason[row] = rejection
            continue
        split[row] = SPLITS[splits[place]]
        if heads[place] != place:
            product[row], _ = names[int(heads[place])]
    columns = {"rule": rule, "reason": reason, "product": product, "split": split}
    for name, values in columns.items():
        table = table.drop_columns(name) if name in table.column_names else table
        table = table.append_column(name, pa.array(values, pa.string()))
    return table


def report_of(
    rejected_alone: dict[str, int], rejections: list[Rejection], product: np.ndarray, split: np.ndarray
) -> dict[str, Any]:
    """The report: rows in, rows that each rule rejected, in order, and rows and products of each split.

    Raises PricewrightError where a split has none.
    """
    counts = Counter(rejection.rule for rejection in rejections)
    rejected = {rule: rejected_alone[rule] + counts[rule] for rule in NAMES}
    rows = {name: int((split == place).sum()) for place, name in enumerate(SPLITS)}
    report = {
        "listings": sum(rejected.values()) + len(split),
        "rejected": rejected,
        "rows": rows,
        "products": {name: len(np.unique(product[split == place])) for place, name in enumerate(SPLITS)},
        "largest_product": int(np.bincount(product).max(initial=0)),
    }
    if empty := [name for name, count in rows.items() if not count]:
        by_rule = ", ".join(f"{rule} {count}" for rule, count in rejected.items() if count)
        raise PricewrightError(
            f"no listing is left for {' and '.join(empty)}: {report['listings']} came in, "
            f"{len(split)} were kept; rejected: {by_rule or 'none'}. "
            "Give more listings, or change `curate` in params.yaml"
        )
    return report


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
    batches = pq.ParquetFile(path).iter_batches(PART, columns=["price", "text"])
    columns = [(batch["price"].to_numpy(), pc.utf8_length(batch["text"]).to_numpy()) for batch in batches]
    price, length = zip(*columns, strict=True)
    return np.concatenate(price), np.concatenate(length)


def main() -> None:
    """Curate the raw listings part by part; log a head of each table and the pictures."""
    listings = Path("artifacts/scrape/listings.parquet")
    with stage.run(Curate) as frame:
        require_answerable(frame.section.price_max, load_section(Prompt).price_max)
        with parallel_map(-(-rows_in(listings) // PART)) as run:
            report = curate(listings, frame.folder, frame.section, frame.empty_scratch(), PART, run)
        frame.discard_scratch()
        for name in (*SPLITS, "rejects"):
            path = frame.folder / f"{name}.parquet"
            frame.tracked.dataset(first_rows(path, SHOWN), name=name, source=path)
        for name, figure in draw(report, frame.folder).items():
            frame.picture(figure, name)
        frame.report(report)


if __name__ == "__main__":
    main()
