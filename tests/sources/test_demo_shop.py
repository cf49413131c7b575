"""The demo shop as a web site, and the crawl of it over HTTP."""

import http.client
import socket
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.core.params.scrape import DemoShop
from components.sources import demo_shop
from components.synthetic import shop_pages
from components.synthetic.catalogue import Product, catalogue
from components.synthetic.price_law import CATEGORIES
from tests.support.scraped import collected


@pytest.fixture(scope="module")
def products() -> list[Product]:
    return catalogue(seed=11, listings=700, noise=0.25)


def get(address: str, path: str) -> tuple[int, str | None, bytes]:
    """Status, Retry-After and body."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Retry-After"), answer.read()
    finally:
        connection.close()


def test_only_robots_txt_and_the_sitemap_contain_the_host(products: list[Product]) -> None:
    first, second = demo_shop.site(products, "http://a:1"), demo_shop.site(products, "http://b:2")
    differing = {path for path in first if first[path] != second[path]}
    assert all(path == "/robots.txt" or path.endswith(".xml") for path in differing)


def test_the_sitemap_and_the_category_pages_each_miss_products_that_the_other_has(
    products: list[Product],
) -> None:
    pages = demo_shop.site(products, "http://a:1")
    mapped = b"".join(page for path, page in pages.items() if path.endswith(".xml")).decode()
    shelves = b"".join(page for path, page in pages.items() if path.startswith("/c/")).decode()
    addresses = {shop_pages.address(product) for product in products}
    in_map = {address for address in addresses if f"{address}<" in mapped}
    on_shelf = {address for address in addresses if f'{address}"' in shelves}
    assert in_map < addresses
    assert on_shelf < addresses
    assert in_map | on_shelf == addresses


def test_category_pages_hold_fifty_products_and_link_to_the_next(products: list[Product]) -> None:
    first, *_, last = shop_pages.category("Ring sets", products[:120], ["/p/gone-1"]).items()
    assert first[1].count("/p/") == shop_pages.PER_PAGE
    assert 'href="/c/ring-sets?page=2"' in first[1]
    assert last[0] == "/c/ring-sets?page=3"
    assert "/p/gone-1" in last[1]


def test_the_kinds_of_markup_have_their_shares(products: list[Product]) -> None:
    pages = demo_shop.site(products, "http://a:1")
    texts = [pages[shop_pages.address(product)] for product in products]
    json_ld = sum(b"ld+json" in text for text in texts) / len(texts)
    microdata = sum(b"itemscope" in text for text in texts) / len(texts)
    assert json_ld == pytest.approx(0.75, abs=0.05)
    assert microdata == pytest.approx(0.15, abs=0.04)


def test_a_busy_page_answers_once_with_429_or_503_and_then_with_the_product(products: list[Product]) -> None:
    statuses = {product.sku: demo_shop._first_status(product) for product in products}
    with demo_shop.serve(products, 0) as shop:
        for product in products:
            if (status := statuses[product.sku]) is None:
                continue
            path = shop_pages.address(product)
            assert get(shop.address, path)[:2] == (status, "1" if status == 429 else None)
            assert get(shop.address, path)[0] == 200
            assert shop.hits[path] == 2
    assert set(statuses.values()) == {None, 429, 503}


def test_a_discontinued_product_always_answers_404(products: list[Product]) -> None:
    with demo_shop.serve(products, 0) as shop:
        assert [get(shop.address, "/p/gone-x")[0] for _ in range(3)] == [404, 404, 404]


def test_a_port_in_use_is_named_with_the_key_that_changes_it(products: list[Product]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        with (
            pytest.raises(PricewrightError, match=rf"port {port} .* scrape\.demo_shop\.port"),
            demo_shop.serve(products, port),
        ):
            pass


def test_the_port_is_free_again_once_the_shop_is_closed(products: list[Product]) -> None:
    with demo_shop.serve(products[:40], 0) as shop:
        port = urlsplit(shop.address).port or 0
        get(shop.address, "/")
    with demo_shop.serve(products[:40], port) as shop:
        assert get(shop.address, "/")[0] == 200


def test_a_crawl_reads_every_product_and_no_page_that_robots_txt_forbids(
    products: list[Product], tmp_path: Path
) -> None:
    with demo_shop.serve(products, 0) as shop:
        path = tmp_path / "pages.sqlite"
        source = collected(lambda spool: demo_shop.crawl_shop(shop.address, 8, 5000, path, spool))
        links = demo_shop.site(products, shop.address)["/"].decode()
    rows, counts = source.rows.sort_values("address", ignore_index=True), source.counts
    assert list(rows["address"]) == sorted(shop_pages.address(product) for product in products)
    assert "/staff/" in links
    assert [path for path in shop.hits if path.startswith("/staff")] == []
    busy = sum(demo_shop._first_status(product) is not None for product in products)
    gone = sum(demo_shop.draw(product, "gone") < demo_shop.DISCONTINUED for product in products)
    assert gone > 0
    assert counts == {
        "fetched": counts["fetched"],
        "not_modified": 0,
        "retried": busy,
        "given_up": 0,
        "not_found": gone,
        "refused_by_robots": 1,
        "outside": 0,
        "rejected": {"not_found": gone},
    }
    assert set(source.rejects["reason"]) == {"the server answers 404"}
    repeated = {path: hits for path, hits in shop.hits.items() if path.startswith("/p/") and hits != 1}
    assert len(repeated) == busy  # every other page was requested exactly once
    prices = {row.address: row.price for row in rows.itertuples()}
    for product in products:
        price = prices[shop_pages.address(product)]
        assert (float(price.strip("$USD ")) if price else None) == product.price


def test_the_source_returns_the_law_with_the_listings() -> None:
    section = shop_of(listings=40, mislabelled=0.0)
    source = collected(lambda spool: demo_shop.collect(section, spool))
    rows, law = source.rows.sort_values("address"), source.law.sort_values("address")
    truth = {shop_pages.address(product): product.median for product in catalogue(3, 40, 0.3)}
    assert list(law["address"]) == list(rows["address"])
    assert dict(zip(law["address"], law["median"], strict=True)) == truth
    assert set(law["sigma"]) == {0.3}
    assert list(law["label"]) == list(rows["category"])


def shop_of(listings: int, mislabelled: float) -> DemoShop:
    return DemoShop(
        seed=3, listings=listings, noise=0.3, mislabelled=mislabelled, concurrency=4, pages_max=500, port=0
    )


def test_a_share_of_the_products_is_shown_in_another_category_and_the_law_knows_the_right_one() -> None:
    """All else about the listings is as it was."""
    right, wrong = (
        collected(lambda spool, share=share: demo_shop.collect(shop_of(120, share), spool))
        for share in (0.0, 0.25)
    )
    before, after = (source.rows.set_index("address").sort_index() for source in (right, wrong))
    moved = before["category"] != after["category"]
    assert moved.sum() == 30
    hashed = ["category", "page_hash"]  # a page also names its neighbours on the shelf
    pd.testing.assert_frame_equal(before.drop(columns=hashed), after.drop(columns=hashed))
    pd.testing.assert_series_equal(
        wrong.law.set_index("address")["label"].sort_index(), before["category"], check_names=False
    )


def test_every_other_category_is_as_likely_for_a_product_in_the_wrong_one(products: list[Product]) -> None:
    shown = demo_shop.mislabelled(products, 0.5, seed=1)
    assert demo_shop.mislabelled(products, 0.0, seed=1) == products
    wrong = [
        (product.category, other.category)
        for product, other in zip(products, shown, strict=True)
        if product.category != other.category
    ]
    assert len(wrong) == len(products) // 2
    counts = Counter(other for _, other in wrong)
    expected = len(wrong) / len(CATEGORIES)
    assert len(counts) == len(CATEGORIES)
    assert max(abs(count - expected) for count in counts.values()) < 4 * expected**0.5


def test_a_shop_with_more_pages_than_allowed_is_given_up(products: list[Product], tmp_path: Path) -> None:
    path = tmp_path / "pages.sqlite"
    with (
        demo_shop.serve(products, 0) as shop,
        pytest.raises(PricewrightError, match=r"more than 50 pages: .*pages_max"),
    ):
        collected(lambda spool: demo_shop.crawl_shop(shop.address, 4, 50, path, spool))
