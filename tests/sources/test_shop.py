"""Any shop by its section of params.yaml: what is crawled, reported and refused."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.sources.block_list import listing_id
from tests.support.crawling import links, stock
from tests.support.scraped import scrape
from tests.support.site import Site, page, product, serve


def section(params: Params, tmp_path: Path, **shop: object) -> object:
    """The scrape section with a shop."""
    limits = {
        "contact": "mailto:a@b.example",
        "delay": 0.01,
        "retries": 0,
        "store": str(tmp_path / "s.sqlite"),
    }
    return params.scrape.model_copy(
        update={"source": "shop", "shop": params.scrape.shop.model_copy(update={**limits, **shop})}
    )


def test_a_list_of_pages_is_fetched_and_nothing_else(params: Params, tmp_path: Path) -> None:
    with serve(Site()) as site:
        stock(site, 3)
        site.answers["/products/000"] = page(product("Kettle") + links("/products/001"))
        scraped = scrape(
            section(params, tmp_path, pages=[f"{site.base}/products/000", f"{site.base}/products/x"])
        )
    assert list(scraped.listings["title"]) == ["Kettle"]
    assert list(scraped.listings["address"]) == [f"{site.base}/products/000"]
    assert set(scraped.listings["source"]) == {"shop"}
    assert json.loads(scraped.listings["places"][0])["price"].startswith("page /html")
    assert list(scraped.rejects["rule"]) == ["not_found"]
    assert scraped.report["notes"] == [f"{site.base}/products/x: the server answers 404"]
    assert scraped.report["shop"]["rejected"] == {"not_found": 1}
    assert site.times("/products/001") == 0


def test_a_shop_that_forbids_everything_gives_an_error_that_says_so(params: Params, tmp_path: Path) -> None:
    with serve(Site()) as site:
        site.answers["/robots.txt"] = (200, {}, b"User-agent: *\nDisallow: /")
        with pytest.raises(PricewrightError, match=r"no listings(.|\n)*Forbidden by robots\.txt"):
            scrape(section(params, tmp_path, start=[f"{site.base}/"]))
    assert [path for path, _ in site.requests] == ["/robots.txt"]


def test_a_shop_that_is_down_gives_an_error_that_says_so(params: Params, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(PricewrightError, match=rf"no listings(.|\n)*http://localhost:{port}/"):
        scrape(section(params, tmp_path, start=[f"http://localhost:{port}/"]))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, "names no address"),
        ({"start": ["shop.example"]}, "is no address"),
        ({"start": ["https://shop.example/"], "contact": None}, r"contact is empty"),
    ],
)
def test_a_shop_that_cannot_be_crawled_politely_is_not_crawled(
    params: Params, tmp_path: Path, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(PricewrightError, match=complaint):
        scrape(section(params, tmp_path, **changes))


def test_a_page_that_was_forgotten_is_not_requested_again_nor_where_a_page_redirects_to_it(
    params: Params, tmp_path: Path
) -> None:
    with serve(Site()) as site:
        stock(site, 4)
        site.answers["/products/moved"] = (301, {"Location": "/products/002"}, b"")
        site.answers["/products/sold"] = page(product("Sold") + links("/products/002", "/products/moved"))
        site.answers["/"] = page(links("/products/000", "/products/002", "/products/sold"))
        forgotten = frozenset({listing_id("shop", f"{site.base}/products/002")})
        scraped = scrape(section(params, tmp_path, start=[f"{site.base}/"]), forgotten)
    assert site.times("/products/moved") == 1
    assert site.times("/products/002") == 0
    assert list(scraped.listings["address"]) == [f"{site.base}/products/{name}" for name in ("000", "sold")]
    assert set(scraped.rejects["rule"]) == {"forgotten"}
    assert "products/002" not in scraped.rejects.to_csv() + json.dumps(scraped.report)
