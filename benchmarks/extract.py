"""How well prices are read off shop pages: all readings together, beside JSON-LD and microdata alone.

    python -m benchmarks.extract

The pages in tests/pages are written by hand after the layouts of real shops, one layout each; those under
held_out were written after the others, and the extractor has not been changed since. A wrong price is a miss
and a false find; the number must be right, and the currency as far as the page tells it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from components.curation.cleaning import parse_price
from components.sources.extraction.markup import readings
from components.sources.extraction.product import NOTHING, Extracted, extract, parse

PAGES = Path(__file__).parents[1] / "tests" / "pages"


@dataclass(frozen=True)
class Page:
    """A hand-written page and what is true of it."""

    page: str
    layout: str
    locale: str
    url: str
    price: str
    """Empty where it sells nothing, or does not say for how much."""
    currency: str
    title: str

    @property
    def html(self) -> str:
        return (PAGES / f"{self.page}.html").read_text(encoding="utf-8")

    @property
    def held_out(self) -> bool:
        return self.page.startswith("held_out/")


@dataclass(frozen=True)
class Score:
    """How many prices were right, found and there."""

    right: int
    found: int
    there: int

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.found + self.there)

    def __str__(self) -> str:
        precision, recall = self.right / max(self.found, 1), self.right / self.there
        counts = f"{self.right} right, {self.found} found, {self.there} there"
        return f"F1 {self.f1:.2f}  precision {precision:.2f}  recall {recall:.2f}  ({counts})"


def pages() -> list[Page]:
    """Every page of tests/pages/truth.csv."""
    with (PAGES / "truth.csv").open(encoding="utf-8", newline="") as rows:
        return [Page(**row) for row in csv.DictReader(rows)]


def is_right(page: Page, found: Extracted) -> bool:
    """Whether price and currency are those of the page."""
    return bool(page.price) and (parse_price(found.price), found.currency) == (
        float(page.price),
        page.currency,
    )


def score(over: list[Page], read: Callable[[Page], Extracted]) -> Score:
    """Prices of `read` against the truth."""
    found = [(page, read(page)) for page in over]
    return Score(
        right=sum(is_right(page, one) for page, one in found),
        found=sum(bool(one.price) for _, one in found),
        there=sum(bool(page.price) for page in over),
    )


def everything(page: Page) -> Extracted:
    """The extractor."""
    return extract(page.html, page.url)


def structured(page: Page) -> Extracted:
    """The alternative: the price of the first product in JSON-LD, else in microdata."""
    tree = parse(page.html)
    for reading in readings(tree, page.url, "") if tree is not None else ():
        if "price" in reading and reading["price"].place.startswith(("json-ld", "microdata")):
            code = reading["currency"].text if "currency" in reading else ""
            return replace(NOTHING, price=reading["price"].text, currency=code)
    return NOTHING


def main() -> None:
    """Print both readers over all pages, the held-out ones and the others, and each page that was misread."""
    every = pages()
    print(f"{len(every)} layouts, {len({page.locale for page in every})} locales")
    parts = {"all": every, "held out": [page for page in every if page.held_out]}
    parts["tuned on"] = [page for page in every if not page.held_out]
    for name, over in parts.items():
        ours, theirs = score(over, everything), score(over, structured)
        print(f"{name} ({len(over)} pages)\n  every reading        {ours}\n  JSON-LD, microdata   {theirs}")
        print(f"  ratio of F1          {ours.f1 / theirs.f1:.2f}")
    for page in every:
        found = everything(page)
        if not is_right(page, found) and (page.price or found.price):
            read = f"{found.price!r} {found.currency} ({found.found_in or 'nowhere'})"
            print(f"misread: {page.page}: {page.price or 'no price'} {page.currency}, read {read}")


if __name__ == "__main__":
    main()
