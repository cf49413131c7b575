"""Raw listings become clean items without duplicates, in four splits that share no product.

Reads `artifacts/scrape/listings.parquet`; writes `artifacts/curate/<split>.parquet`, `rejects.parquet` with
the rule and the reason of every listing that was not taken, and three pictures. Nothing is lost: each
listing ends in one split or among the rejects. The listings pass through in parts, on every core, and of
those that have passed some 50 bytes each stay in memory; what else is needed of them waits on the disk.

What is one product: listings whose descriptions share `near_duplicate_similarity` of their word 3-shingles
(Jaccard; a description of under 8 words is compared by its whole text), directly or through others.
Titles, prices and categories do not decide: shops list one phone in several colours, sizes and departments
over one description, and such neighbours must not stand on both sides of a split. But neighbours are other
listings, and stay, unless one repeats another: as similar as that, same price, the same numbers in both
descriptions, and no other number in the title and no other value of a specification that both have.
"""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.curate import Curate
from components.core.params.prompt import Prompt
from components.core.params.section import load_section
from components.core.schemas import SCORED, SPLITS, Item, Listing, Reject
from components.curation.columnar import candidates_of, cleaned
from components.curation.executors import workers
from components.curation.minhash import Run, band_keys, first_of_equals, search, shape
from components.curation.partitions import (
    Taken,
    beside,
    first_rows,
    read_arrow,
    rows_in,
    split_sorted,
    write_arrow,
)
from components.curation.products import Crowd, allocate, crowds, draws_of, products_of
from components.curation.rules import NAMES, Verdict, exact_duplicate, near_duplicates, overfull_price_bands
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
    listings: Path, folder: Path, section: Curate, scratch: Path, part_rows: int, run: Run
) -> dict[str, Any]:
    """Clean, reject, find the products and split, whatever the order of `listings` (a file of `Listing`).

    Writes the tables into `folder` and returns the report; `scratch` is for parts of about `part_rows`
    listings, and `run` does the work (`map`, or that of an executor).
    Raises PricewrightError where a split would be empty.
    """
    parts = split_sorted(listings, scratch, part_rows)
    known = Known.of(list(run(partial(prepare, section=section), parts)))
    repeated = first_of_equals(known.key)
    distinct = np.flatnonzero(repeated == np.arange(len(repeated)))
    taken = Taken(parts, known.bounds, scratch / "distinct.npy")
    np.save(taken.selected, distinct)
    alike = search(taken, known.shingles[distinct], section.near_duplicate_similarity, run)
    product = products_of(alike)
    split = allocate(product, known.draw[distinct], section.shares)
    verdicts = exact_duplicates(taken, repeated)
    for found in run(partial(repeats, taken), crowds(alike, product, part_rows)):
        verdicts |= found
    fitted = np.setdiff1d(distinct[np.isin(split, FITTED)], [*verdicts])
    drawn = overfull_price_bands(known.price[fitted], known.draw[fitted], section.balance)
    verdicts |= {int(fitted[place]): verdict for place, verdict in drawn.items()}
    kept = ~np.isin(distinct, [*verdicts])
    report = report_of(known.refused, list(verdicts.values()), product[kept], split[kept])
    heads, splits = np.arange(len(repeated)), np.zeros(len(repeated), np.int8)
    heads[distinct], splits[distinct] = distinct[product], split
    write(folder, taken, heads, splits, verdicts)
    return report


class Known(NamedTuple):
    """What stays in memory of the candidates that no rule on one alone refuses, in order."""

    key: np.ndarray
    """uint64: the same where words and price are."""
    shingles: np.ndarray
    """uint64: the same where the shingles are."""
    price: np.ndarray
    draw: np.ndarray
    """uint64: see `draws_of`."""
    bounds: np.ndarray
    """Places of each part among all: int64 of shape (parts + 1,)."""
    refused: dict[str, int]
    """How many of the others each rule took."""

    @classmethod
    def of(cls, parts: list[Known]) -> Known:
        """All of some parts."""
        key, shingles, price, draw = (np.concatenate([part[place] for part in parts]) for place in range(4))
        bounds = np.cumsum([0, *(len(part.key) for part in parts)])
        return cls(
            key, shingles, price, draw, bounds, {n: sum(part.refused[n] for part in parts) for n in NAMES}
        )


def prepare(part: Path, section: Curate) -> Known:
    """Clean and judge the listings of a part and write beside it what later steps need of them."""
    listings = read_arrow(part).sort_by([(name, "ascending") for name in Listing.columns()])
    part.unlink()
    table = cleaned(listings, section)
    write_arrow(table, beside(part, "cleaned.arrow"))
    took = table["rule"].value_counts().to_pylist()
    refused = dict.fromkeys(NAMES, 0) | {one["values"]: one["counts"] for one in took if one["values"]}
    table = table.filter(pc.equal(table["rule"], ""))
    texts, described = (table[name].combine_chunks() for name in ("text", "description"))
    short = pc.less(pa.array(np.diff(word_hashes(described).bounds)), SHORT_DESCRIPTION)
    said = shingles(word_hashes(pc.if_else(short, texts, described)), SHINGLE)
    np.save(beside(part, "shingles.npy"), said.values)
    np.save(beside(part, "bounds.npy"), said.bounds)
    similarity = section.near_duplicate_similarity
    np.save(
        beside(part, "bands.npy"), [band_keys(said, similarity, band) for band in range(shape(similarity)[0])]
    )
    price = table["price"].to_numpy()
    key = mixed(sequence_hashes(word_hashes(texts)) ^ mixed(price.view(np.uint64)))
    draw = draws_of(table["id"].to_pylist(), section.seed)
    return Known(key, set_hashes(said), price, draw, np.empty(0), refused)


def exact_duplicates(taken: Taken, repeated: np.ndarray) -> dict[int, Verdict]:
    """Verdicts on those whose words and price an earlier one has, by their place among all taken."""
    later = np.flatnonzero(repeated != np.arange(len(repeated)))
    named = taken.names(repeated[later])
    return {place: exact_duplicate(*named[int(repeated[place])]) for place in later.tolist()}


def repeats(taken: Taken, crowd: Crowd) -> dict[int, Verdict]:
    """Verdicts on those of a crowd that repeat an earlier listing, by their place among all taken."""
    places = np.load(taken.selected, mmap_mode="r")[crowd.places]
    verdicts = near_duplicates(candidates_of(taken.candidates(places)), crowd.alike)
    return {place: verdict for place, verdict in zip(places.tolist(), verdicts, strict=True) if verdict}


# --- tables and report -------------------------------------------------------------------------------


def write(
    folder: Path, taken: Taken, heads: np.ndarray, splits: np.ndarray, verdicts: dict[int, Verdict]
) -> None:
    """Write each split and the rejects, in the order of their ids.

    For each place among the taken: `heads` has the first of its product, `splits` a place in SPLITS.
    """
    named = taken.names(heads[heads != np.arange(len(heads))])
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(pq.ParquetWriter(folder / f"{name}.parquet", schema))
            for name, schema in {**dict.fromkeys(SPLITS, ITEMS), "rejects": REJECTS}.items()
        }
        for part, start, end in zip(taken.parts, taken.bounds[:-1], taken.bounds[1:], strict=True):
            table = read_arrow(beside(part, "cleaned.arrow"))
            ids, rule, reason = (table[name].to_pylist() for name in ("id", "rule", "reason"))
            product, split = list(ids), ["rejects"] * len(ids)
            rows = [row for row, refusal in enumerate(rule) if not refusal]
            for row, place in zip(rows, range(start, end), strict=True):
                if verdict := verdicts.get(place):
                    rule[row], reason[row] = verdict
                    continue
                split[row] = SPLITS[splits[place]]
                if heads[place] != place:
                    product[row], _ = named[int(heads[place])]
            found = {"rule": rule, "reason": reason, "product": product, "split": split}
            for name, values in found.items():
                table = table.drop_columns(name) if name in table.column_names else table
                table = table.append_column(name, pa.array(values, pa.string()))
            for name, file in files.items():
                taken_rows = table.filter(pc.equal(table["split"], name))
                if name == "rejects":
                    taken_rows = taken_rows.drop_columns("price").rename_columns({"written": "price"})
                file.write_table(taken_rows.select(file.schema.names))


def report_of(
    refused: dict[str, int], verdicts: list[Verdict], product: np.ndarray, split: np.ndarray
) -> dict[str, Any]:
    """The report: rows in, rows that each rule took, in order, and rows and products of each split.

    Raises PricewrightError where a split has none.
    """
    took = Counter(verdict.rule for verdict in verdicts)
    rejected = {rule: refused[rule] + took[rule] for rule in NAMES}
    rows = {name: int((split == place).sum()) for place, name in enumerate(SPLITS)}
    report = {
        "listings": sum(rejected.values()) + len(split),
        "rejected": rejected,
        "rows": rows,
        "products": {name: len(np.unique(product[split == place])) for place, name in enumerate(SPLITS)},
        "largest_product": int(np.bincount(product).max(initial=0)),
    }
    if empty := [name for name, count in rows.items() if not count]:
        said = ", ".join(f"{rule} {count}" for rule, count in rejected.items() if count)
        raise PricewrightError(
            f"no listing is left for {' and '.join(empty)}: {report['listings']} came in, "
            f"{len(split)} were taken; refused: {said or 'none'}. "
            "Give more listings, or change `curate` in params.yaml"
        )
    return report


def main() -> None:
    listings = Path("artifacts/scrape/listings.parquet")
    with stage.run(Curate) as frame:
        require_answerable(frame.section.price_max, load_section(Prompt).price_max)
        scratch = frame.scratch.resolve()
        shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
        scratch.mkdir(parents=True)
        with workers(-(-rows_in(listings) // PART)) as run:
            report = curate(listings, frame.folder, frame.section, scratch, PART, run)
        frame.discard_scratch()
        for name in (*SPLITS, "rejects"):
            path = frame.folder / f"{name}.parquet"
            frame.tracked.dataset(first_rows(path, SHOWN), name=name, source=path)
        items = {split: columns_of(frame.folder / f"{split}.parquet") for split in SPLITS}
        frame.picture(waterfall(report), "waterfall.png")
        prices, lengths = ({split: one[place] for split, one in items.items()} for place in range(2))
        frame.picture(histograms(prices, "dollars", "Prices of each split"), "prices.png")
        frame.picture(histograms(lengths, "characters", "Text lengths of each split"), "lengths.png")
        frame.report(report)


def require_answerable(price_max: float, highest_answer: int) -> None:
    """Raise PricewrightError where listings may cost more than any model can answer."""
    if price_max > highest_answer:
        raise PricewrightError(
            f"curate.price_max {price_max:g} is above the highest answer: raise prompt.price_max "
            f"({highest_answer}), or lower it"
        )


def columns_of(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Price and length of the text of each row, read a few rows at a time."""
    batches = pq.ParquetFile(path).iter_batches(PART, columns=["price", "text"])
    found = [(batch["price"].to_numpy(), pc.utf8_length(batch["text"]).to_numpy()) for batch in batches]
    price, length = zip(*found, strict=True)
    return np.concatenate(price), np.concatenate(length)


if __name__ == "__main__":
    main()
