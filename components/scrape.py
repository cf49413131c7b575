"""Collects raw listings from a source, each with its provenance; nothing is rejected for its content yet.

Reads what `scrape.source` names: the demo shop or any other, over HTTP, files, or a hub data set. Writes
`listings.parquet` (schemas.Listing), `rejects.parquet` (schemas.Reject: what may not be used or cannot be
read) and `law.parquet` (schemas.Law: the true medians of a generated source, empty for real ones), sorted by
address, so that the same source gives the same bytes; reports/scrape.json counts them, and says what went
wrong.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.scrape import Scrape
from components.core.schemas import Law, Listing, Record, Reject
from components.sources import amazon_reviews, demo_shop, files, shop
from components.sources.result import Collected, empty

Source = Callable[[Any], Collected]
"""From the source's section of params.yaml to its listings and rejects."""
SOURCES: dict[str, Source] = {
    "demo_shop": demo_shop.collect,
    "files": files.collect,
    "shop": shop.collect,
    "amazon_reviews": amazon_reviews.collect,
}


class Scraped(NamedTuple):
    """The tables of the stage, each sorted by address, and its report."""

    listings: pd.DataFrame
    rejects: pd.DataFrame
    law: pd.DataFrame
    report: dict[str, Any]


def scrape(section: Scrape) -> Scraped:
    """Collect from the source of `section`.

    Raises PricewrightError where the source cannot be read or has no listing at all.
    """
    collected = SOURCES[section.source](getattr(section, section.source))
    if collected.rows.empty:
        lines = "".join(f"\n  {note}" for note in collected.notes)
        raise PricewrightError(
            f"the source {section.source} has no listings: check scrape.{section.source}{lines}"
        )
    listings = _table(collected.rows, section.source, Listing)
    places = listings["found_in"].replace("", "nowhere").value_counts(normalize=True).sort_index()
    report = {
        "listings": len(listings),
        "without_price": int((listings["price"] == "").sum()),
        "found_in": {str(place): round(float(share), 4) for place, share in places.items()},
        section.source: collected.counts,
        "notes": collected.notes,
    }
    law = collected.law[Law.columns()].sort_values("address", ignore_index=True)
    return Scraped(listings, _table(collected.rejects, section.source, Reject), law, report)


def _table(rows: pd.DataFrame, source: str, record: type[Record]) -> pd.DataFrame:
    if rows.empty:
        return empty(record)
    keys = rows["key"] if "key" in rows else rows["address"]
    rows = rows.assign(id=[listing_id(source, key) for key in keys], source=source)
    return rows[record.columns()].sort_values("address", ignore_index=True)


def listing_id(source: str, key: str) -> str:
    """The id of a listing, by its key in the source or its address: 16 hex digits, the same in every run."""
    return hashlib.sha256(f"{source} {key}".encode()).hexdigest()[:16]


def main() -> None:
    """Collect the listings and save them with the rejects and the report."""
    with stage.run(Scrape) as frame:
        scraped = scrape(frame.section)
        frame.save("listings.parquet", scraped.listings, Listing)
        frame.save("rejects.parquet", scraped.rejects, Reject)
        frame.save("law.parquet", scraped.law, Law)
        frame.report(scraped.report)
        for note in scraped.report["notes"]:
            print(f"scrape: {note}", file=sys.stderr)


if __name__ == "__main__":
    main()
