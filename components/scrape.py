"""Collects raw listings from a source, each with its provenance; nothing is rejected for its content yet.

Reads what `scrape.source` names: the demo shop or any other, over HTTP, files, or a hub data set; and, where
there are some, requests to the service whose answer is known by now (`scrape.requests`). Writes
`listings.parquet` (schemas.Listing), `rejects.parquet` (schemas.Reject: what may not be used or cannot be
read) and `law.parquet` (schemas.Law: the true medians of a generated source, empty for real ones), sorted by
address, so that the same source gives the same bytes; reports/scrape.json counts them, and says what went
wrong. What was erased on request (data/forgotten.txt, `make forget`) is a reject without a word of it. A
batch of rows is in memory at a time: the source hands them on one by one (sources/result.py), and they are
sorted on the disk.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.scrape import Scrape
from components.core.schemas import Law, Listing, Record, Reject
from components.core.tables import open_parquet, read_arrow, schema_of, split_sorted
from components.sources import amazon_reviews, demo_shop, files, requests, shop, sleeping_bags
from components.sources.block_list import FORGOTTEN, BlockList, forgotten_ids, listing_id
from components.sources.result import Collected, Spool

Source = Callable[[Any, Spool], Collected]
"""From the source's section of params.yaml to what the report says of it; its rows go to the spool."""
SOURCES: dict[str, Source] = {
    "demo_shop": demo_shop.collect,
    "files": files.collect,
    "shop": shop.collect,
    "amazon_reviews": amazon_reviews.collect,
    "sleeping_bags": sleeping_bags.collect,
}
TABLES: dict[str, type[Record]] = {"listings": Listing, "rejects": Reject, "law": Law}
SORTED_ROWS = 20_000  # in memory at a time


def scrape(section: Scrape, folder: Path, scratch: Path, forgotten: frozenset[str]) -> dict[str, Any]:
    """Collect from the source of `section` and write the tables into `folder`. Returns the report.

    `scratch` is an empty folder for the rows that are not sorted yet, `forgotten` are ids of listings that
    may not be collected. Raises PricewrightError where the source cannot be read or has no listing at all.
    """
    path, counts = section.requests.path, dict[str, Any]()
    with Spool(scratch, BlockList(section.source, forgotten)) as spool:
        collected = SOURCES[section.source](getattr(section, section.source), spool)
        if not spool.rows(Listing):
            lines = "".join(f"\n  {note}" for note in collected.notes)
            raise PricewrightError(
                f"the source {section.source} has no listings: check scrape.{section.source}{lines}"
            )
        if path and Path(path).is_file():
            spool.blocked = BlockList(requests.SOURCE, forgotten)
            counts = {requests.SOURCE: requests.collect(section.requests, spool).counts}
    folder.mkdir(parents=True, exist_ok=True)
    for name, kind in TABLES.items():
        write_sorted(spool.path(kind), folder / f"{name}.parquet", kind)
    return report_of(
        folder / "listings.parquet", {section.source: collected.counts, **counts}, collected.notes
    )


def write_sorted(rows: Path, path: Path, kind: type[Record]) -> None:
    """Write the rows of a spool, sorted by address, with their ids."""
    with pq.ParquetWriter(path, schema_of(kind, kind.columns())) as file:
        for partition in split_sorted(rows, rows.parent, SORTED_ROWS, "address"):
            table = read_arrow(partition).sort_by("address")
            partition.unlink()
            if "id" in kind.model_fields:
                keys = table["address"]
                if kind is Listing:
                    keys = pc.coalesce(table["key"], keys)
                named = zip(table["source"].to_pylist(), keys.to_pylist(), strict=True)
                ids = [listing_id(source, key) for source, key in named]
                table = table.append_column("id", [pa.array(ids, pa.large_string())])
            file.write_table(table.select(kind.columns()).cast(file.schema).combine_chunks())


def report_of(listings: Path, sources: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """The report: how many listings there are, with what prices, and what each source says."""
    places: Counter[str] = Counter()
    rows = without_price = 0
    for batch in open_parquet(listings).iter_batches(SORTED_ROWS, columns=["price", "found_in"]):
        rows += len(batch)
        without_price += batch["price"].to_pylist().count("")
        places.update(place or "nowhere" for place in batch["found_in"].to_pylist())
    return {
        "listings": rows,
        "without_price": without_price,
        "found_in": {place: round(count / rows, 4) for place, count in sorted(places.items())},
        **sources,
        "notes": notes,
    }


def main() -> None:
    """Collect the listings and save them with the rejects and the report."""
    with stage.run(Scrape) as frame:
        report = scrape(frame.section, frame.folder, frame.empty_scratch(), forgotten_ids(FORGOTTEN))
        frame.discard_scratch()
        for name in TABLES:
            frame.dataset(f"{name}.parquet")
        frame.report(report)
        for note in report["notes"]:
            print(f"scrape: {note}", file=sys.stderr)


if __name__ == "__main__":
    main()
