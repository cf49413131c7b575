"""Visible parts of a product page but the price."""

from components.sources.extraction.product import extract
from tests.support.product_pages import page


def test_specifications_are_read_from_lists_and_tables() -> None:
    rows = "<dl><dt>Brand:</dt><dd>Vela</dd><dt>Volume</dt><dd>1.5 l</dd></dl>"
    extracted = extract(page(rows + "<table><tr><th>Body</th><td>steel</td></tr></table>"), "/p/1")
    assert (extracted.brand, extracted.details) == ("Vela", {"Volume": "1.5 l", "Body": "steel"})
