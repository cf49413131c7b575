from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.validated import Inputs, put

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_data_docs_load_nothing_from_the_web_and_run_no_script_of_a_listing(
    tab: Page, tmp_path: Path
) -> None:
    inputs = Inputs()
    script = "A lamp of oak <script>document.body.remove()</script><p onclick=alert()>"
    put("text", script)(inputs)
    inputs.checks(tmp_path, "test", "train")
    requests: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(f"file://{tmp_path}/docs/index.html")
    assert tab.locator("tr", has_text="test").locator("td").nth(1).inner_text() == "failed"
    assert tab.locator("tr", has_text="train").locator("td").nth(1).inner_text() == "passed"
    tab.get_by_role("link", name="test", exact=True).click()
    assert "A lamp of oak" in tab.locator("body").inner_text()
    assert (
        tab.locator(".fa-times").first.evaluate("e => getComputedStyle(e, '::before').content") == '"failed"'
    )
    assert [url for url in requests if not url.startswith("file://")] == []
    tab.goto(f"file://{tmp_path}/docs/index.html")
    tab.get_by_role("link", name="what is expected").first.click()
    assert "values must never be null" in tab.locator("body").inner_text()
