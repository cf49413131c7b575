"""The currency of a price, and prices in any text."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.curation.cleaning import parse_price
from components.sources.extraction.money import currency
from components.sources.extraction.product import extract
from tests.support.product_pages import page


def test_the_country_of_the_page_decides_which_dollar_it_is() -> None:
    text = page("<b class='price'>$30</b>")
    assert extract(text, "/p/1").currency == ""
    assert extract(text.replace("<html>", '<html lang="en-CA">'), "/p/1").currency == "CAD"
    assert extract(text, "https://a.example.com.au/p/1").currency == "AUD"


@pytest.mark.parametrize(
    ("price", "code"),
    [("$5", ""), ("US$ 5", "USD"), ("5 EUR", "EUR"), ("€5", "EUR"), ("£5", "GBP"), ("", "")],
)
def test_a_shared_sign_alone_names_no_currency(price: str, code: str) -> None:
    assert currency(price) == code


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.,-' $€£kr\u00a0\u202fUSD", max_size=30) | st.text(max_size=30))
def test_any_text_gives_a_finite_number_or_none_and_a_currency_code_or_nothing(written: str) -> None:
    number = parse_price(written)
    assert number is None or math.isfinite(number)
    assert re.fullmatch("(?:[A-Z]{3})?", currency(written))
