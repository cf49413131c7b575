"""Runs a crawl: starts the spider (spider.py) in a process of its own and reads how it went.

A process of its own, because a Twisted reactor starts only once per process. Nothing is extracted from a page
here: `extraction` does that from the store, so that a better extractor needs no new crawl.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from components.core.errors import PricewrightError
from components.sources.crawling.job import CAPS, DEFERRED, CrawlJob
from components.sources.crawling.page_store import Failures

COUNTS = {
    "fetched": "pricewright/pages",
    "not_modified": "pricewright/not_modified",
    "retried": "retry/count",
    "given_up": "retry/max_reached",
    "not_found": "pricewright/not_found",
    "refused_by_robots": "robotstxt/forbidden",
    "outside": "allowed_hosts/outside",
}


class Crawled(NamedTuple):
    """How a crawl went; its pages are in the store."""

    failures: Failures
    """Product pages and seeds that could not be fetched, sorted by URL."""
    counts: dict[str, int]
    """Requests and pages, by the names of COUNTS."""
    stopped: str
    """The limit at which it stopped, `pages_max` or `bytes_max`; empty where it fetched everything."""


def crawl(job: CrawlJob, store: Path) -> Crawled:
    """Fetch the pages of one round into the store at `store`, or the rest of a round that was interrupted.

    Raises PricewrightError where another crawl is writing to this store, or this one fails or is stopped, or
    a host asks to be left alone for longer than `wait_max`.
    """
    with locked(store):
        process = subprocess.run(
            [sys.executable, "-m", "components.sources.crawling.spider", str(store)],
            input=job.to_json().encode(),
            check=False,
        )
        summary_file = store.with_suffix(".json")
        if process.returncode != 0 or not summary_file.exists():
            raise PricewrightError(
                f"the crawl of {', '.join(job.hosts)} ended with exit code {process.returncode}: see above; "
                f"run again and it carries on with what is in {store}"
            )
        stats = json.loads(summary_file.read_text(encoding="utf-8"))
    reason = stats.get("finish_reason")
    if reason not in ("finished", *CAPS):
        raise PricewrightError(f"the crawl was stopped ({reason}): run again and it carries on")
    if waits := {key.removeprefix(DEFERRED): stats[key] for key in stats if key.startswith(DEFERRED)}:
        until = max(waits.values())
        raise PricewrightError(
            f"{', '.join(sorted(waits))} asks to wait: nothing is requested before "
            f"{datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M:%S} UTC. Run again then: the crawl "
            f"carries on with what is in {store}"
        )
    if bugs := stats.get("spider_exceptions/count"):
        raise PricewrightError(f"{bugs} pages could not be read: see above")
    counts = {name: int(stats.get(key, 0)) for name, key in COUNTS.items()}
    return Crawled(Failures(store), counts, CAPS.get(reason, ""))


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the lock of a store, so that one crawl at a time writes to it.

    Raises PricewrightError where another has it.
    """
    store.parent.mkdir(parents=True, exist_ok=True)
    with store.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PricewrightError(f"another crawl is at work on {store}: wait for it") from None
        store.with_suffix(".json").unlink(missing_ok=True)
        yield
