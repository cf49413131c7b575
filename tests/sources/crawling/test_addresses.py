"""Hosts of URLs, and which addresses are private."""

import pytest

from components.sources.crawling.addresses import host_of, is_private, resolves_privately, without_session


def test_a_host_is_named_without_its_default_port() -> None:
    assert host_of("https://shop.example:443/") == host_of("https://shop.example/") == "shop.example"
    assert host_of("http://[::1") == host_of("http://a:port/") == host_of("words") == ""


@pytest.mark.parametrize(
    "address", ["10.0.0.7", "127.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0", "::1", "fe80::1"]
)
def test_loopback_link_local_and_private_addresses_are_private(address: str) -> None:
    assert is_private(address)
    assert not is_private("93.184.216.34")


def test_a_name_is_private_where_it_resolves_to_a_private_address() -> None:
    assert resolves_privately("localhost")
    assert not resolves_privately("8.8.8.8")
    assert not resolves_privately("no.such.host.invalid")


@pytest.mark.parametrize(
    ("url", "without"),
    [
        ("http://a/p/1?PHPSESSID=8f2&color=red#top", "http://a/p/1?color=red"),
        ("http://a/p/1;jsessionid=AB.c1?id=7", "http://a/p/1?id=7"),
        ("http://a/p.php?products_id=4&osCsid=1", "http://a/p.php?products_id=4"),
        ("http://a/p/1?utm_source=x&gclid=y", "http://a/p/1"),
        ("http://a/p?b=2&a=1&b=3", "http://a/p?b=2&a=1&b=3"),
        ("http://a/p?side=left&outside=1", "http://a/p?side=left&outside=1"),
    ],
)
def test_what_tells_visitors_apart_is_dropped_from_an_address_and_nothing_else(
    url: str, without: str
) -> None:
    assert without_session(url) == without
