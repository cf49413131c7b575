"""A crawl as a whole: later rounds, a killed crawl, the lock of a store, limits."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from components.core.errors import PricewrightError
from components.sources.crawling.crawl import crawl
from components.sources.crawling.page_store import PageStore
from tests.support.crawling import crawl_job, links, run, stock
from tests.support.site import Site, page, product, serve


def test_a_second_crawl_fetches_only_what_has_changed(tmp_path: Path) -> None:
    with serve(Site()) as site:
        stock(site, 6)
        first = run(site, crawl_job([f"{site.base}/"]), tmp_path / "pages.sqlite")
        site.answers["/products/001"] = page(product("New", "$9"), ETag='"new"')
        del site.answers["/products/002"]
        second = run(site, crawl_job([f"{site.base}/"]), tmp_path / "pages.sqlite")
    assert second.crawled.counts["not_modified"] == 4
    assert set(first.rows) - set(second.rows) == {"/products/002"}
    changed = {path for path in second.rows if second.rows[path] != first.rows[path]}
    assert changed == {"/products/001"}
    assert second.rows["/products/001"]["price"] == "$9"


def test_a_page_without_an_etag_is_revalidated_by_its_last_modified(tmp_path: Path) -> None:
    old, new = "Mon, 01 Jun 2026 10:00:00 GMT", "Tue, 02 Jun 2026 10:00:00 GMT"
    with serve(Site()) as site:
        site.answers = {f"/products/{name}": page(product(name), Last_Modified=old) for name in ("a", "b")}
        site.answers["/"] = page(links("/products/a", "/products/b"))
        run(site, crawl_job([f"{site.base}/"]), tmp_path / "pages.sqlite")
        site.answers["/products/b"] = page(product("b", "$9"), Last_Modified=new)
        second = run(site, crawl_job([f"{site.base}/"]), tmp_path / "pages.sqlite")
    assert second.crawled.counts["not_modified"] == 1
    assert [second.rows[f"/products/{name}"]["price"] for name in ("a", "b")] == ["$24.50", "$9"]


def test_a_killed_crawl_resumes_without_fetching_a_page_twice(tmp_path: Path) -> None:
    with serve(Site()) as site:
        stock(site, 60)
        job = crawl_job([f"{site.base}/"], concurrency=1, delay=0.05)
        code = (
            "import sys; from pathlib import Path; "
            "from components.sources.crawling.crawl import crawl; "
            "from components.sources.crawling.job import CrawlJob; "
            "crawl(CrawlJob.from_json(sys.argv[1]), Path(sys.argv[2]))"
        )
        store = tmp_path / "pages.sqlite"
        command = [sys.executable, "-c", code, job.to_json(), str(store)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
            while len(site.requests) < 20:
                assert running.poll() is None
                time.sleep(0.05)
            [child] = psutil.Process(running.pid).children()
            os.kill(running.pid, signal.SIGKILL)
            child.wait(timeout=20)  # its parent is gone, so it ends
        pages = PageStore(store)
        fetched = {page.url.removeprefix(site.base) for page in pages.pages()}
        pages.close()
        result = run(site, replace(job, concurrency=4, delay=0.01), store)
    assert 10 < len(fetched) < 60
    assert len(result.rows) == 60
    assert {path for path in fetched if site.times(path) != 1} == set()


def test_a_store_is_locked_to_one_crawl_at_a_time(tmp_path: Path) -> None:
    store = tmp_path / "pages.sqlite"
    with store.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(PricewrightError, match="another crawl is at work"):
            crawl(crawl_job(["http://localhost:1/"]), store)


def test_a_crawl_stops_at_its_limit_of_bytes_and_reports_it(tmp_path: Path) -> None:
    with serve(Site()) as site:
        paths = [f"/products/{number}" for number in range(30)]
        site.answers = {path: page(product("Pot") + "x" * 100_000) for path in paths}
        site.answers["/"] = page(links(*paths))
        job = crawl_job([f"{site.base}/"], concurrency=1, bytes_max=500_000)
        result = run(site, job, tmp_path / "pages.sqlite")
    assert result.crawled.stopped == "bytes_max"
    assert 3 < len(result.rows) < 10
