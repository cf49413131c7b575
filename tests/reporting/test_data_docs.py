from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.validated import World, put

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_data_docs_are_read_without_the_web_and_run_nothing_that_a_listing_says(
    tab: Page, tmp_path: Path
) -> None:
    world = World()
    evil = "A lamp of oak <script>document.body.remove()</script><p onclick=alert()>"
    put("text", evil)(world)
    world.checks(tmp_path, "test", "train")
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"file://{tmp_path}/docs/index.html")
    assert tab.locator("tr", has_text="test").locator("td").nth(1).inner_text() == "failed"
    assert tab.locator("tr", has_text="train").locator("td").nth(1).inner_text() == "passed"
    tab.get_by_role("link", name="test", exact=True).click()
    assert "A lamp of oak" in tab.locator("body").inner_text()
    assert (
        tab.locator(".fa-times").first.evaluate("e => getComputedStyle(e, '::before').content") == '"failed"'
    )
    assert [url for url in asked if not url.startswith("file://")] == []
    tab.goto(f"file://{tmp_path}/docs/index.html")
    tab.get_by_role("link", name="what is expected").first.click()
    assert "values must never be null" in tab.locator("body").inner_text()
