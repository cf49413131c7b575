"""Middlewares of the crawler: Retry-After, allowed hosts, private addresses."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from scrapy import Request
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response

from components.sources.crawling.middlewares import AllowedHosts, Resolver, RetryAfter, retry_after_seconds


@pytest.mark.parametrize(
    ("status", "header", "wait"), [(429, "1", 1.0), (503, "1", 1.0), (429, "soon", 0.0), (200, "1", 0.0)]
)
def test_a_host_gets_no_request_until_its_retry_after_has_passed(
    status: int, header: str, wait: float
) -> None:
    middleware, page = RetryAfter(), Request("http://a/p/1")
    answer = Response("http://a/p/1", status=status, headers={"Retry-After": header})
    assert middleware.process_response(page, answer) is answer
    start = time.monotonic()
    asyncio.run(middleware.process_request(Request("http://b/p/1")))
    assert time.monotonic() - start < 0.5
    asyncio.run(middleware.process_request(Request("http://a/p/2")))
    assert time.monotonic() - start == pytest.approx(wait, abs=0.5)


def test_retry_after_is_a_number_or_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60))
    assert retry_after_seconds(later) == pytest.approx(60, abs=5)
    assert (
        retry_after_seconds("2.5"),
        retry_after_seconds("-3"),
        retry_after_seconds("nan-ish"),
        retry_after_seconds(""),
    ) == (2.5, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("http://shop.example/p", True),
        ("http://SHOP.example:80/p", True),
        ("http://user@shop.example/p", True),
        ("http://shop.example:8080/p", False),
        ("http://www.shop.example/p", False),
        ("http://shop.example.evil.example/p", False),
        ("http://shop.example@evil.example/p", False),
        ("file:///etc/passwd", False),
        ("http://2130706433/", False),
    ],
)
def test_only_urls_of_the_allowed_hosts_are_requested(url: str, inside: bool) -> None:
    stats = SimpleNamespace(inc_value=lambda _: None)
    settings = SimpleNamespace(getlist=lambda _: ["shop.example"])
    allowed_hosts = AllowedHosts(SimpleNamespace(settings=settings, stats=stats))  # type: ignore[arg-type]
    if inside:
        allowed_hosts.process_request(Request(url))
    else:
        with pytest.raises(IgnoreRequest, match="outside"):
            allowed_hosts.process_request(Request(url))


def test_a_name_that_resolves_to_a_private_address_is_refused() -> None:
    resolver = Resolver.__new__(Resolver)
    resolver.private = {"intranet.example"}
    assert resolver._checked("93.184.216.34", "shop.example") == "93.184.216.34"
    assert resolver._checked("10.0.0.7", "intranet.example") == "10.0.0.7"
    for address in ("10.0.0.7", "127.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0"):
        with pytest.raises(OSError, match="private address"):
            resolver._checked(address, "shop.example")
        assert f"shop.example is {address}" in resolver.refused["shop.example"]
