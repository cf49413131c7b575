"""How well prices are extracted from shop pages: all readings together, beside JSON-LD and microdata alone.

    python -m benchmarks.extract

The pages in tests/pages are written by hand after the layouts of real shops, one layout each; those under
held_out were written after the others, and the extractor has not been changed since. A wrong price is both a
false negative and a false positive; number and currency must be right.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from components.sources.extraction.markup import readings
from components.sources.extraction.money import amount
from components.sources.extraction.product import EMPTY, Extracted, extract, parse

PAGES = Path(__file__).parents[1] / "tests" / "pages"


@dataclass(frozen=True)
class LabelledPage:
    """A hand-written page and its true price, currency and title."""

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
    """Numbers of pages: whose price was extracted right, from which one was extracted, that have one."""

    right: int
    extracted: int
    expected: int

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.extracted + self.expected)

    def __str__(self) -> str:
        precision, recall = self.right / max(self.extracted, 1), self.right / self.expected
        counts = f"{self.right} right, {self.extracted} extracted, {self.expected} expected"
        return f"F1 {self.f1:.2f}  precision {precision:.2f}  recall {recall:.2f}  ({counts})"


def pages() -> list[LabelledPage]:
    """Every page of tests/pages/truth.csv."""
    with (PAGES / "truth.csv").open(encoding="utf-8", newline="") as rows:
        return [LabelledPage(**row) for row in csv.DictReader(rows)]


def is_right(page: LabelledPage, extracted: Extracted) -> bool:
    """Whether price and currency are those of the page."""
    return bool(page.price) and (amount(extracted.price), extracted.currency) == (
        Decimal(page.price),
        page.currency,
    )


def score(labelled: list[LabelledPage], extractor: Callable[[LabelledPage], Extracted]) -> Score:
    """Compare the prices that an extractor gives with the true ones."""
    pairs = [(page, extractor(page)) for page in labelled]
    return Score(
        right=sum(is_right(page, extracted) for page, extracted in pairs),
        extracted=sum(bool(extracted.price) for _, extracted in pairs),
        expected=sum(bool(page.price) for page in labelled),
    )


def all_readings(page: LabelledPage) -> Extracted:
    """The project's extractor."""
    return extract(page.html, page.url)


def structured_data(page: LabelledPage) -> Extracted:
    """The common alternative: the price of the first product in JSON-LD, else in microdata."""
    tree = parse(page.html)
    for reading in readings(tree, page.url, "") if tree is not None else ():
        if "price" in reading and reading["price"].place.startswith(("json-ld", "microdata")):
            code = reading["currency"].text if "currency" in reading else ""
            return replace(EMPTY, price=reading["price"].text, currency=code)
    return EMPTY


def main() -> None:
    """Print the scores of both extractors on all, held-out and other pages, and every misread page."""
    every = pages()
    print(f"{len(every)} layouts, {len({page.locale for page in every})} locales")
    parts = {"all": every, "held out": [page for page in every if page.held_out]}
    parts["tuned on"] = [page for page in every if not page.held_out]
    for name, labelled in parts.items():
        ours, theirs = score(labelled, all_readings), score(labelled, structured_data)
        print(
            f"{name} ({len(labelled)} pages)\n  every reading        {ours}\n  JSON-LD, microdata   {theirs}"
        )
        print(f"  ratio of F1          {ours.f1 / theirs.f1:.2f}")
    for page in every:
        extracted = all_readings(page)
        if not is_right(page, extracted) and (page.price or extracted.price):
            read = f"{extracted.price!r} {extracted.currency} ({extracted.found_in or 'nowhere'})"
            print(f"misread: {page.page}: {page.price or 'no price'} {page.currency}, read {read}")


if __name__ == "__main__":
    main()
