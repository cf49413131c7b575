"""Raw listings from a source, each with its provenance; nothing is judged yet.

Reads what `scrape.source` names: the demo shop, over HTTP, or files. Writes `listings.parquet`
(records.Listing) and `law.parquet` (records.Law: what a generated source knows of the truth, empty for real
ones), both sorted by address, so that the same source gives the same bytes; reports/scrape.json counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pandas as pd

from components import stage
from components.params import Scrape
from components.records import Law, Listing, PricewrightError
from components.sources import demo_shop, files

Source = Callable[[Any], tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]]
"""From the source's section of params.yaml to rows (Listing without `id` and `source`), law and counts."""
SOURCES: dict[str, Source] = {"demo_shop": demo_shop.collect, "files": files.collect}


def scrape(section: Scrape) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Collect from the source of `section`: listings, law, and the counts of the report.

    Raises PricewrightError where the source cannot be read or has no listing at all.
    """
    rows, law, counts = SOURCES[section.source](getattr(section, section.source))
    if rows.empty:
        raise PricewrightError(f"the source {section.source} has no listings: check scrape.{section.source}")
    rows = rows.assign(
        id=[identify(section.source, address) for address in rows["address"]],
        source=section.source,
    )
    listings = rows[Listing.columns()].sort_values("address", ignore_index=True)
    law = law[Law.columns()].sort_values("address", ignore_index=True)
    places = listings["found_in"].replace("", "nowhere").value_counts(normalize=True).sort_index()
    report = {
        "listings": len(listings),
        "without_price": int((listings["price"] == "").sum()),
        "found_in": {str(place): round(float(share), 4) for place, share in places.items()},
        section.source: counts,
    }
    return listings, law, report


def identify(source: str, address: str) -> str:
    """The listing's id: 16 hex digits that are the same in every run."""
    return hashlib.sha256(f"{source} {address}".encode()).hexdigest()[:16]


def main() -> None:
    """Collect the listings and save them."""
    with stage.run("scrape") as frame:
        listings, law, report = scrape(frame.params.scrape)
        frame.save("listings.parquet", listings, Listing)
        frame.save("law.parquet", law, Law)
        frame.report(report)


if __name__ == "__main__":
    main()
