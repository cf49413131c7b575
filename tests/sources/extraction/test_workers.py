"""A deadline for each item, kept by processes of their own."""

import os
import time
from pathlib import Path

import psutil

from components.sources.crawling.page_store import PageStore
from components.sources.extraction import pages
from components.sources.extraction.workers import run_in_workers
from tests.support.crawling import listings_and_rejects

DEADLINE = 2.0  # seconds


def square(number: int) -> int:
    if number == 3:
        while True:  # no signal and no lock: only the end of the process stops it
            pass
    if number == 4:
        os._exit(1)
    return number * number


def test_what_takes_too_long_or_ends_its_process_costs_itself_alone_and_order_is_kept() -> None:
    results = list(run_in_workers(range(7), square, DEADLINE))
    assert [item for item, _ in results] == list(range(7))
    assert [result.value for _, result in results] == [0, 1, 4, None, None, 25, 36]
    assert [result.failure for _, result in results if result.failure] == ["too_slow", "crashed"]
    assert [child for child in psutil.Process().children() if child.status() == psutil.STATUS_RUNNING] == []


def process(_: int) -> int:
    time.sleep(0.2)
    return os.getpid()


def test_every_core_has_a_process_and_keeps_it() -> None:
    cores = len(os.sched_getaffinity(0))
    numbers = [result.value for _, result in run_in_workers(range(2 * cores), process, 60.0)]
    assert len(set(numbers)) == cores
    assert os.getpid() not in numbers


def test_a_page_that_runs_out_of_time_is_rejected_with_its_reason_and_the_next_is_read(
    tmp_path: Path,
) -> None:
    store = PageStore(tmp_path / "pages.sqlite")
    store.begin_round()
    hostile = (
        b"<h1>Pot</h1><table>" + b"<tr><td>a<td>b" * 300_000
    )  # 4.2 MB: many times DEADLINE, on any machine
    store.put("http://a/p/1", 200, {}, hostile)
    store.put("http://a/p/2", 200, {}, b"<h1>Kettle</h1><p class=price>$5</p>")
    rows, rejected = listings_and_rejects(pages.read_listings(store, "/p/", [], str, DEADLINE))
    assert [(row["address"], row["rule"]) for row in rejected] == [("http://a/p/1", "too_slow")]
    assert "2 seconds" in rejected[0]["reason"]
    assert [row["address"] for row in rows] == ["http://a/p/2"]
