"""Which addresses the links of a page have."""

from pathlib import Path

from tests.support.crawling import crawl_job, run
from tests.support.site import Site, page, product, serve


def test_links_count_from_the_base_of_a_page_and_lose_the_session(tmp_path: Path) -> None:
    path = "/shop/products/1"
    anchors = "".join(f"<a href='products/1?PHPSESSID={number}'>x</a>" for number in range(3))
    site = Site(answers={"/": page(f"<base href='/shop/'>{anchors}"), path: page(product(path))})
    with serve(site):
        outcome = run(site, crawl_job([f"{site.base}/"]), tmp_path / "pages.sqlite")
    assert list(outcome.rows) == [path]
    requested = [requested_path for requested_path, _ in site.requests]
    assert requested.count(path) == 1
    assert not any("PHPSESSID" in requested_path for requested_path in requested)
