"""The pace of a crawl: busy hosts are waited for or deferred, and hosts that refuse are left alone."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from components.core.errors import PricewrightError
from components.sources.crawling.pace import retry_after_seconds
from tests.support.crawling import crawl_job, links, run, stock
from tests.support.site import Site, page, product, send, serve


def busy(times: list[float], refusals: int, status: int, **headers: str) -> Callable[..., None]:
    """A page that is busy for its first `refusals` requests, whose times it appends."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        times.append(time.monotonic())
        if len(times) <= refusals:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            send(handler, status, named, b"later")
        else:
            send(handler, *page(product("Busy")))  # type: ignore[misc]

    return answer


def test_retry_after_is_a_number_or_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60))
    assert retry_after_seconds(later) == pytest.approx(60, abs=5)
    assert [retry_after_seconds(written) for written in ("2.5", "-3", "nan-ish", "")] == [2.5, 0, 0, 0]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_shop_gets_no_request_until_its_retry_after_has_passed(tmp_path: Path, status: int) -> None:
    times: list[float] = []
    with serve(Site()) as site:
        stock(site, 3)
        site.answers["/products/000"] = busy(times, 1, status, Retry_After="2")
        result = run(site, crawl_job([f"{site.base}/"], concurrency=1), tmp_path / "pages.sqlite")
    assert len(result.rows) == 3
    assert times[1] - times[0] > 1.9  # a lower bound


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_answer_without_retry_after_slows_its_host_down(tmp_path: Path, status: int) -> None:
    times: list[float] = []
    with serve(Site()) as site:
        site.answers = {"/": page(links("/products/a")), "/products/a": busy(times, 3, status)}
        job = crawl_job([f"{site.base}/"], concurrency=1, retries=3)
        result = run(site, job, tmp_path / "pages.sqlite")
    assert set(result.rows) == {"/products/a"}
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(wait > bound for wait, bound in zip(waits, (0.24, 0.48, 0.96), strict=True)), waits


def test_one_host_is_crawled_while_another_is_waited_for(tmp_path: Path) -> None:
    times: list[float] = []
    with serve(Site()) as site, serve(Site()) as other:
        stock(site, 9)
        other.answers = {f"/products/{n}": page(product(f"{n}")) for n in range(9)}
        other.answers["/"] = busy(times, 1, 503, Retry_After="3")
        starts = [f"http://127.0.0.1:{other.port}/", f"{site.base}/"]
        ends: list[float] = []
        site.answers["/products/008"] = busy(ends, 0, 200)
        run(site, crawl_job(starts, concurrency=1), tmp_path / "pages.sqlite")
    assert len(times) == 2
    assert ends[0] < times[1]


def test_a_longer_wait_than_a_run_may_take_is_kept_between_the_runs(tmp_path: Path) -> None:
    store = tmp_path / "pages.sqlite"
    times: list[float] = []
    with serve(Site()) as site:
        stock(site, 12)
        site.answers["/products/005"] = busy(times, 1, 429, Retry_After="1000")
        job = crawl_job([f"{site.base}/"], concurrency=1, wait_max=1.0)
        with pytest.raises(PricewrightError, match=r"asks to wait: .* before 2\d{3}-.* Run again then"):
            run(site, job, store)
        requested = len(site.requests)
        with pytest.raises(PricewrightError, match=rf"localhost:{site.port} asks to wait"):
            run(site, job, store)
        assert len(site.requests) == requested  # it was not even asked for its robots.txt
        with sqlite3.connect(store) as database:
            [(host, until)] = database.execute("SELECT host, until FROM deferral").fetchall()
            database.execute("UPDATE deferral SET until = until - 1000")  # so much time passes
        assert host == f"localhost:{site.port}"
        assert until > time.time() + 700  # 1000 seconds after the answer
        result = run(site, job, store)
    assert len(result.rows) == 12
    assert len(times) == 2
    assert {path for path, _ in site.requests if path != "/products/005" and site.times(path) > 1} == set()


def test_a_host_that_only_refuses_is_left_alone_and_each_page_says_why(tmp_path: Path) -> None:
    with serve(Site()) as site:
        stock(site, 80)
        site.answers |= {path: page("no", 403) for path in site.answers if path != "/"}
        job = crawl_job([f"{site.base}/"], refusals_max=10)
        result = run(site, job, tmp_path / "pages.sqlite")
    requested = sum(path.startswith("/products/") for path, _ in site.requests)
    assert requested <= 10 + job.concurrency
    assert len(result.refused) == 80
    reasons = [reason for rule, reason in result.refused.values() if rule == "refused"]
    assert len(reasons) == 80 - requested
    assert set(reasons) == {"refused: left alone after 10 refusals, the server answers 403"}


def test_refusals_between_good_answers_stop_nothing(tmp_path: Path) -> None:
    with serve(Site()) as site:
        stock(site, 40)
        site.answers |= {f"/products/{number:03}": page("no", 403) for number in range(0, 40, 2)}
        job = crawl_job([f"{site.base}/"], refusals_max=8, concurrency=1)
        result = run(site, job, tmp_path / "pages.sqlite")
    assert len(result.rows) == 20
    assert {rule for rule, _ in result.refused.values()} == {"status"}


def test_a_host_that_is_only_busy_is_deferred(tmp_path: Path) -> None:
    with serve(Site()) as site:
        stock(site, 80)
        site.answers |= {path: page("later", 500) for path in site.answers if path != "/"}
        with pytest.raises(PricewrightError, match="asks to wait"):
            run(site, crawl_job([f"{site.base}/"], refusals_max=6), tmp_path / "pages.sqlite")
    assert len(site.requests) < 20


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_robots_txt_that_is_busy_means_wait(tmp_path: Path, status: int) -> None:
    store = tmp_path / "pages.sqlite"
    with serve(Site()) as site:
        stock(site, 3)
        site.answers["/robots.txt"] = (status, {}, b"")
        job = crawl_job([f"{site.base}/"], wait_max=2.0)
        with pytest.raises(PricewrightError, match="asks to wait"):
            run(site, job, store)
        assert {path for path, _ in site.requests} == {"/robots.txt"}
        del site.answers["/robots.txt"]
        time.sleep(2.1)
        result = run(site, job, store)
    assert len(result.rows) == 3
