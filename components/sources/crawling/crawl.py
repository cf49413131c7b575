"""A polite crawl: sitemaps, links and single pages of some hosts, as robots.txt allows, into a store.

`crawl()` starts the spider (spider.py) in a process of its own: a Twisted reactor starts once per process.
Nothing is read off a product page here: `extraction` does that, and a better extractor needs no new crawl.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from components.core.errors import PricewrightError
from components.sources.crawling.order import CAPS, Failure, Order

COUNTS = {
    "fetched": "pricewright/pages",
    "not_modified": "pricewright/not_modified",
    "retried": "retry/count",
    "given_up": "retry/max_reached",
    "not_found": "pricewright/not_found",
    "refused_by_robots": "robotstxt/forbidden",
    "outside": "fence/outside",
}


class Crawled(NamedTuple):
    """How a crawl went; its pages are in the store."""

    failures: list[Failure]
    """Of product pages and of the addresses that a person named, by address."""
    counts: dict[str, int]
    """Those of COUNTS."""
    stopped: str
    """Name of the cap at which it stopped; empty where it saw all there was."""


def crawl(order: Order, store: Path) -> Crawled:
    """Fill the store with the pages of one round, or with the rest of a round that was not finished.

    Raises PricewrightError where another crawl is at work on this store, or this one breaks down.
    """
    with _alone(store):
        done = subprocess.run(
            [sys.executable, "-m", "components.sources.crawling.spider", str(store)],
            input=json.dumps(asdict(order)).encode(),
            check=False,
        )
        result = store.with_suffix(".json")
        if done.returncode != 0 or not result.exists():
            raise PricewrightError(
                f"the crawl of {', '.join(order.hosts)} ended with exit code {done.returncode}: see above; "
                f"run again and it carries on with what is in {store}"
            )
        stats = json.loads(result.read_text(encoding="utf-8"))
    reason = stats["stats"].get("finish_reason")
    if reason not in ("finished", *CAPS):
        raise PricewrightError(f"the crawl was stopped ({reason}): run again and it carries on")
    if bugs := stats["stats"].get("spider_exceptions/count"):
        raise PricewrightError(f"{bugs} pages could not be read: see above")
    counts = {name: int(stats["stats"].get(key, 0)) for name, key in COUNTS.items()}
    return Crawled(sorted(Failure(*failure) for failure in stats["failures"]), counts, CAPS.get(reason, ""))


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    store.parent.mkdir(parents=True, exist_ok=True)
    with store.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PricewrightError(f"another crawl is at work on {store}: wait for it") from None
        store.with_suffix(".json").unlink(missing_ok=True)
        yield
