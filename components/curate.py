"""Raw listings become clean items without duplicates, in five splits that share no product.

Reads `artifacts/scrape/listings.parquet`, and intakes.csv, which names the listings kept for the gate; writes
`artifacts/curate/<split>.parquet`, `rejects.parquet` with the rule and the reason of every rejected listing,
`names.json` with the labels in the order of their places (none where a number is predicted), and three
pictures. Nothing is lost: each listing ends in one split or among the rejects. Partitions of the listings are
worked on in parallel, on every core; about 40 bytes of each listing are kept in memory, the rest is on the
disk.

A product is a near-duplicate cluster: listings whose descriptions have a Jaccard similarity of word
3-shingles of at least `near_duplicate_similarity`, directly or through others (a description of under 8 words
is compared by its whole text). Titles, prices and categories do not decide: shops list one phone in several
colours, sizes and departments over one description, and such neighbours must not stand on both sides of a
split. All listings of a cluster are kept, unless one repeats another: same target, the same numbers in both
descriptions, no other number in the title and no other value of a specification that both have.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from components.core import intakes, stage
from components.core.errors import PricewrightError
from components.core.params.curate import Balance, Curate
from components.core.params.section import load_section
from components.core.params.task import Task
from components.core.schemas import HELD_OUT, SPLITS, Item, Reject
from components.core.tables import read_arrow, rows_in, split_sorted
from components.curation.columnar import candidates_of
from components.curation.executors import parallel_map
from components.curation.fingerprints import Counts, clean_partition, ignore_boilerplate
from components.curation.labels import label_names
from components.curation.minhash import Map, Neighbours, first_of_equals, firsts, search
from components.curation.partitions import Candidates, Names, beside
from components.curation.products import Group, allocate, grouped_products, lowest, products_of
from components.curation.rules import (
    DUPLICATES,
    NAMES,
    LeftOut,
    Rejection,
    duplicate,
    names_of,
    overfull_price_bands,
    repeated_by,
)
from components.curation.shingles import bounds_of
from components.reporting.figures import histograms, waterfall
from components.reporting.label_shares import label_shares

PARTITION_ROWS = 20_000  # listings that a process works on at a time
GROUPS = 4  # so many groups of near duplicates in place of a partition: their rows are Python objects
TYPES = {"target": pa.float64()}
ITEMS = pa.schema([(name, TYPES.get(name, pa.string())) for name in Item.columns()])
REJECTS = pa.schema([(name, pa.string()) for name in Reject.columns()])
FITTED = [position for position, split in enumerate(SPLITS) if split not in HELD_OUT]
"""Positions in SPLITS of those that a model is fitted on."""
KEPT = -1  # in place of a rule


def curate(
    listings: Path,
    folder: Path,
    section: Curate,
    task: Task,
    scratch: Path,
    partition_rows: int,
    run: Map,
    gate_ids: frozenset[str],
) -> dict[str, Any]:
    """Clean and reject listings, find the products and split by product; the order of rows does not matter.

    `listings` is a Parquet file with the columns of `Listing`. Writes the tables into `folder` and returns
    the report. `scratch` gets partitions of about `partition_rows` listings, which `run` works on (`map`, or
    the `map` of an executor). `gate_ids` are of listings whose products are the gate's, whatever their
    draw. Raises PricewrightError where a split would be empty, or there are no labels to tell apart.
    """
    partitions = split_sorted(listings, scratch, partition_rows, "id")
    names = label_names(partitions, section, task, run)
    clean = partial(clean_partition, section=section, task=task, names=names, gate_ids=gate_ids)
    counts = Counts.of_all(run(clean, partitions))
    ignore_boilerplate(partitions, counts, section, run)
    candidates = Candidates.whole(partitions, bounds_of(counts.candidates), scratch / "candidates.npy")
    first = first_of_equals(candidates.column("key"))
    distinct = candidates.among(firsts(first))
    twins = first_of_equals(distinct.column("sets"))
    neighbours = Neighbours(twins, search(distinct, twins, section.near_duplicate_similarity, run))
    product = products_of(neighbours)
    split = allocate(product, lowest(first, candidates.column("draw"))[firsts(first)], section.shares)
    groups = list(grouped_products(neighbours, product, max(partition_rows // GROUPS, 1)))
    repeated = near_duplicates_of(distinct, groups, run)
    left_out = left_out_of(distinct, split, repeated, section.balance)
    outcome = outcome_of(first, distinct.positions(), product, split, repeated, left_out)
    report = report_of(counts.rejected, outcome, task.kind)
    write(folder, candidates, outcome, task.kind)
    (folder / "names.json").write_text(json.dumps(names, ensure_ascii=False) + "\n", encoding="utf-8")
    return report


def near_duplicates_of(candidates: Candidates, groups: list[Group], run: Map) -> np.ndarray:
    """For each of the candidates the earlier near duplicate that it repeats, itself where there is none, by
    its place among them; int32 (n,).
    """
    positions = candidates.positions()
    repeated = np.arange(len(positions), dtype=np.int32)
    paths = candidates.write_groups([positions[group.positions] for group in groups])
    tasks = zip(paths, (group.neighbours for group in groups), strict=True)
    for group, within in zip(groups, run(repeated_within, tasks), strict=True):
        repeated[group.positions] = group.positions[within]
    return repeated


def repeated_within(group: tuple[Path, Neighbours]) -> np.ndarray:
    """`rules.repeated_by` of the candidates in a file, with their neighbours."""
    path, neighbours = group
    return repeated_by(candidates_of(read_arrow(path)), neighbours)


def left_out_of(candidates: Candidates, split: np.ndarray, repeated: np.ndarray, balance: Balance) -> LeftOut:
    """`rules.overfull_price_bands` of the candidates in a fitted split that repeat none; positions count
    from 0 over all those given.
    """
    if not balance.strength:
        return overfull_price_bands(np.empty(0), np.empty(0, np.uint64), balance)
    fitted = np.flatnonzero(np.isin(split, FITTED) & (repeated == np.arange(len(repeated))))
    targets, draws = (candidates.column(name)[fitted] for name in ("target", "draw"))
    left_out = overfull_price_bands(targets, draws, balance)
    return left_out._replace(positions=fitted[left_out.positions])


# --- tables and report -------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What becomes of each candidate, by its position among all."""

    earlier: np.ndarray
    """int32 (n,): the first candidate of its product, or, of a duplicate, the one that it repeats."""
    split: np.ndarray
    """int8 (n,), a position in SPLITS."""
    rule: np.ndarray
    """int8 (n,), a position in NAMES; KEPT where no rule rejects it."""
    left_out: LeftOut
    """Those that an overfull price band leaves out."""

    def rejections(
        self, start: int, end: int, names: dict[int, tuple[str, str]], kind: str
    ) -> dict[int, Rejection]:
        """Why those of the candidates from `start` to `end` are rejected that are; `names` are of those that
        they repeat, `kind` is that of the task.
        """
        first, last = np.searchsorted(self.left_out.positions, [start, end])
        bands = zip(self.left_out.positions[first:last], self.left_out.band[first:last], strict=True)
        reasons = {int(position): self.left_out.reasons[band] for position, band in bands}
        rejections = {}
        for position in (start + np.flatnonzero(self.rule[start:end] != KEPT)).tolist():
            name, earlier = NAMES[self.rule[position]], int(self.earlier[position])
            rejections[position] = (
                duplicate(name, kind, *names[earlier])
                if name in DUPLICATES
                else Rejection(name, reasons[position])
            )
        return rejections


def outcome_of(
    first: np.ndarray,
    distinct: np.ndarray,
    product: np.ndarray,
    split: np.ndarray,
    repeated: np.ndarray,
    left_out: LeftOut,
) -> Outcome:
    """The outcome for candidates with the same words and target as `first` of them.

    `distinct` are the positions of those that are such a first one, and what follows is by their place among
    these: `products_of`, `allocate`, `near_duplicates_of` and `left_out_of`.
    """
    earlier, rule = first.copy(), np.full(len(first), NAMES.index("exact_duplicate"), np.int8)
    is_near = repeated != np.arange(len(repeated), dtype=repeated.dtype)
    earlier[distinct] = distinct[np.where(is_near, repeated, product)]
    rule[distinct] = np.where(is_near, NAMES.index("near_duplicate"), KEPT)
    rule[distinct[left_out.positions]] = NAMES.index("overfull_price_band")
    splits = np.zeros(len(first), np.int8)
    splits[distinct] = split
    return Outcome(earlier, splits, rule, left_out._replace(positions=distinct[left_out.positions]))


def write(folder: Path, candidates: Candidates, outcome: Outcome, kind: str) -> None:
    """Write each split and the rejects, in the order of their ids."""
    others = outcome.earlier != np.arange(len(outcome.earlier), dtype=np.int32)
    names = candidates.names(np.unique(outcome.earlier[others]))
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(pq.ParquetWriter(folder / f"{name}.parquet", schema))
            for name, schema in {**dict.fromkeys(SPLITS, ITEMS), "rejects": REJECTS}.items()
        }
        for partition, start, end in zip(
            candidates.partitions, candidates.bounds[:-1], candidates.bounds[1:], strict=True
        ):
            path = beside(partition, "cleaned.arrow")
            table = _allocated(path, int(start), int(end), outcome, names, kind)
            for name, file in files.items():
                rows = table.filter(pc.equal(table["split"], name))
                if name == "rejects":
                    rows = rows.drop_columns("target").rename_columns({"written": "target"})
                file.write_table(rows.select(file.schema.names))


def _allocated(path: Path, start: int, end: int, outcome: Outcome, names: Names, kind: str) -> pa.Table:
    """The cleaned listings of a partition with rule, reason, product and split.

    Its candidates are those from `start` to `end` among all.
    """
    table = read_arrow(path)
    earlier = outcome.earlier[start:end]
    others = names.at(np.unique(earlier[earlier != np.arange(start, end)]))
    rejections = outcome.rejections(start, end, others, kind)
    ids, rule, reason = (table[name].to_pylist() for name in ("id", "rule", "reason"))
    product, split = list(ids), ["rejects"] * len(ids)
    rows = [row for row, rejected_by in enumerate(rule) if not rejected_by]
    for row, position in zip(rows, range(start, end), strict=True):
        if rejection := rejections.get(position):
            rule[row], reason[row] = rejection
            continue
        split[row] = SPLITS[outcome.split[position]]
        if (head := int(earlier[position - start])) != position:
            product[row], _ = others[head]
    columns = {"rule": rule, "reason": reason, "product": product, "split": split}
    for name, values in columns.items():
        table = table.drop_columns(name) if name in table.column_names else table
        table = table.append_column(name, pa.array(values, pa.string()))
    return table


def report_of(rejected_singly: dict[str, int], outcome: Outcome, kind: str) -> dict[str, Any]:
    """The report: listings read, listings that each rule on that kind of task rejected, rows and products of
    each split.

    `rejected_singly` counts by the rules on a single listing. Raises PricewrightError where a split has no
    rows.
    """
    kept = np.flatnonzero(outcome.rule == KEPT)
    counts = np.bincount(outcome.rule[outcome.rule != KEPT], minlength=len(NAMES))
    together = dict(zip(NAMES, counts.tolist(), strict=True))
    rejected = {rule: rejected_singly[rule] + together[rule] for rule in names_of(kind)}
    product, split = outcome.earlier[kept], outcome.split[kept]
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


def draw(report: dict[str, Any], folder: Path, task: Task) -> dict[str, Figure]:
    """The pictures of the data page, by file name: the waterfall, targets and text lengths of the splits."""
    splits = {split: target_and_length(folder / f"{split}.parquet") for split in SPLITS}
    targets = {split: target for split, (target, _) in splits.items()}
    lengths = {split: length for split, (_, length) in splits.items()}
    if task.kind == "label":
        figure = label_shares(targets, json.loads((folder / "names.json").read_text(encoding="utf-8")))
    else:
        figure = histograms(targets, task.number.unit, "Targets of each split")
    return {
        "waterfall.png": waterfall(report),
        "targets.png": figure,
        "lengths.png": histograms(lengths, "characters", "Text lengths of each split"),
    }


def target_and_length(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Target and length of the text of each row, read a few rows at a time."""
    batches = pq.ParquetFile(path).iter_batches(PARTITION_ROWS, columns=["target", "text"])
    columns = [(batch["target"].to_numpy(), pc.utf8_length(batch["text"]).to_numpy()) for batch in batches]
    target, length = zip(*columns, strict=True)
    return np.concatenate(target), np.concatenate(length)


def main() -> None:
    """Curate the raw listings; log the first rows of each table and the pictures."""
    with stage.run(Curate) as frame:
        listings, gate_ids = Path("artifacts/scrape/listings.parquet"), intakes.ids(intakes.read())
        section, task = frame.section, load_section(Task)
        with parallel_map(-(-rows_in(listings) // PARTITION_ROWS)) as run:
            scratch = frame.empty_scratch()
            report = curate(listings, frame.folder, section, task, scratch, PARTITION_ROWS, run, gate_ids)
        frame.discard_scratch()
        for name in (*SPLITS, "rejects"):
            frame.dataset(f"{name}.parquet")
        for name, figure in draw(report, frame.folder, task).items():
            frame.picture(figure, name)
        frame.report(report)


if __name__ == "__main__":
    main()
