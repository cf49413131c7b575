"""Middlewares of the crawler: allowed hosts, private addresses."""

from types import SimpleNamespace

import pytest
from scrapy import Request
from scrapy.exceptions import IgnoreRequest

from components.sources.crawling.middlewares import AllowedHosts, Resolver


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
