"""The picture of the page of `make serve`, as a browser shows it: docs/page.png.

    make serve &
    python -m benchmarks.page [--address http://127.0.0.1:5001]

Needs Chromium, and a champion: the picture in docs/ is of the embedded default's.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from components.core.errors import PricewrightError

PICTURE = Path("docs/page.png")
TEXT = "Over-ear headphones with noise cancelling, 40 hours of battery, folding, with a case"
WIDTH, HEIGHT = 760, 1000
WAIT = 60_000  # milliseconds, at most


def picture(address: str, path: Path) -> None:
    """Ask the page at an address what TEXT costs, and write what it shows.

    Raises PricewrightError without a browser.
    """
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise PricewrightError("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = started.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(address)
        page.fill("#text", TEXT)
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#words li", timeout=WAIT)
        page.wait_for_selector("#near li", timeout=WAIT)
        page.screenshot(path=path, full_page=True)
        started.close()


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page")
    parser.add_argument("--address", default="http://127.0.0.1:5001")
    try:
        picture(parser.parse_args().address, PICTURE)
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
