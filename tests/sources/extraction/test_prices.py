"""The visible price of a page among its other prices."""

import pytest

from components.sources.extraction.product import extract
from tests.support.product_pages import page


@pytest.mark.parametrize(
    "body",
    [
        "<del>$40</del> <b>$30</b>",
        "<p class='old-price'>$40</p><p class='price'>$30</p>",
        "<p>Was $40, now <b>$30</b></p>",
        "<p><span>Was</span> <b>$40</b></p><p>Our price: <b>$30</b></p>",
        "<p>Shipping: <b>$5</b></p><p>$30</p>",
        "<table><tr><th>Delivery</th><td><b>$5</b></td></tr></table><div>Price: $30</div>",
        "<section><h2>You may also like</h2><b class='price'>$9</b></section><b>$30</b>",
        "<ul><li><a href='/p/2'>Cup <b class='price'>$9</b></a></li></ul><b>$30</b>",
        "<p>Worth every one of the $99 I paid.</p><b>$30</b>",
        "<div style='text-decoration:line-through'>$40</div><b>$30</b>",
        "<b>$12</b><p class='product-price'><span>$30</span></p>",
        "<p class='price'><span>$</span><span>30</span></p>",
    ],
)
def test_the_main_price_ranks_above_the_others(body: str) -> None:
    assert extract(page(body), "/p/1").price in ("$30", "$ 30")


def test_a_heading_with_a_word_like_over_does_not_hide_the_price() -> None:
    text = page("<b>$30</b>").replace("Kettle", "Over-Ear Headphones")
    assert extract(text, "/p/1").price == "$30"


@pytest.mark.parametrize("body", ["<p>Price on request</p><p>Shipping: <b>$5</b></p>", "<p>Model 30</p>", ""])
def test_a_page_without_its_price_gives_none(body: str) -> None:
    extracted = extract(page(body), "/p/1")
    assert (extracted.price, extracted.found_in) == ("", "")
