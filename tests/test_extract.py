"""The extractor on small pages: each kind of markup, and the traps of each."""

import json
from random import Random

import pytest

from components.sources import shop_pages
from components.sources.catalogue import catalogue
from components.sources.extract import NOTHING, extract
from components.sources.visible import currency

PRODUCT = {
    "@type": "Product",
    "name": "Kettle &amp; Cup",
    "description": "Boils\n water.",
    "brand": {"@type": "Brand", "name": "Vela"},
    "category": "Kitchen",
    "additionalProperty": [{"@type": "PropertyValue", "name": "Volume", "value": 1.5, "unitText": "l"}],
    "offers": {"@type": "Offer", "price": "1,299.90", "priceCurrency": "usd"},
}


def ld(*blocks: object) -> str:
    scripts = "".join(f'<script type="application/ld+json">{json.dumps(block)}</script>' for block in blocks)
    return f"<html><head>{scripts}</head><body><h1>Seen</h1></body></html>"


def page(body: str) -> str:
    return f"<html><body><main><h1>Kettle</h1>{body}</main></body></html>"


def test_json_ld_gives_every_field_and_the_price_as_written() -> None:
    found = extract(ld(PRODUCT), "/p/1")
    assert (found.title, found.description, found.brand) == ("Kettle & Cup", "Boils water.", "Vela")
    assert (found.category, found.details) == ("Kitchen", {"Volume": "1.5 l"})
    assert (found.price, found.currency, found.found_in) == ("1,299.90", "USD", "json-ld")


def test_a_number_in_json_ld_keeps_its_digits() -> None:
    text = ld(PRODUCT).replace('"1,299.90"', "19.90")
    assert extract(text, "/p/1").price == "19.90"


@pytest.mark.parametrize(
    "offers",
    [
        [{"@type": "Offer"}, {"@type": "Offer", "price": 7}],
        {"@type": "AggregateOffer", "lowPrice": "7", "highPrice": "9"},
        {"priceSpecification": {"price": "7"}},
        {
            "priceSpecification": [
                {"priceType": "https://schema.org/StrikethroughPrice", "price": 9},
                {"price": 7},
            ]
        },
    ],
)
def test_an_offer_is_read_in_every_shape_that_schema_org_allows(offers: object) -> None:
    assert extract(ld({**PRODUCT, "offers": offers}), "/p/1").price == "7"


def test_the_product_is_found_in_a_graph_in_a_list_and_under_main_entity() -> None:
    for block in ({"@graph": [{"@type": "WebSite"}, PRODUCT]}, [PRODUCT], {"mainEntity": PRODUCT}):
        assert extract(ld({"@type": "BreadcrumbList"}, block), "/p/1").price == "1,299.90"


def test_of_several_products_the_one_of_this_page_is_taken() -> None:
    other = {**PRODUCT, "name": "Other", "url": "/p/2"}
    assert extract(ld(other, {**PRODUCT, "url": "/p/1"}), "/p/1").title == "Kettle & Cup"


def test_the_price_of_a_related_product_is_not_that_of_a_product_without_one() -> None:
    without = {key: value for key, value in PRODUCT.items() if key != "offers"}
    found = extract(ld({**without, "isRelatedTo": PRODUCT}), "/p/1")
    assert (found.price, found.currency, found.found_in) == ("", "", "")


def test_broken_json_ld_falls_back_to_what_is_seen() -> None:
    text = ld(PRODUCT).replace("}}", "}").replace("</body>", "<p class='price'>$5</p></body>")
    found = extract(text, "/p/1")
    assert (found.title, found.price, found.found_in) == ("Seen", "$5", "page")


MICRODATA = """<div itemscope itemtype="http://schema.org/Product">
<div itemprop="isRelatedTo" itemscope itemtype="http://schema.org/Product"><b itemprop="name">Cup</b>
  <i itemprop="offers" itemscope itemtype="http://schema.org/Offer"><b itemprop="price">3</b></i></div>
<b itemprop="name">Kettle</b> <span itemprop="brand">Vela</span>
<p itemprop="offers" itemscope itemtype="http://schema.org/Offer">
  <meta itemprop="priceCurrency" content="EUR"><b itemprop="price" content="24.50">24,50</b></p>
<!-- a comment --></div>"""


def test_microdata_keeps_nested_items_apart() -> None:
    found = extract(page(MICRODATA), "/p/1")
    assert (found.title, found.brand, found.price) == ("Kettle", "Vela", "24.50")
    assert (found.currency, found.found_in) == ("EUR", "microdata")


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
def test_the_main_price_is_told_from_the_others(body: str) -> None:
    assert extract(page(body), "/p/1").price in ("$30", "$ 30")


def test_a_heading_with_a_word_like_over_does_not_hide_the_price() -> None:
    text = page("<b>$30</b>").replace("Kettle", "Over-Ear Headphones")
    assert extract(text, "/p/1").price == "$30"


@pytest.mark.parametrize("body", ["<p>Price on request</p><p>Shipping: <b>$5</b></p>", "<p>Model 30</p>", ""])
def test_a_page_without_the_price_gives_none(body: str) -> None:
    found = extract(page(body), "/p/1")
    assert (found.price, found.found_in) == ("", "")


@pytest.mark.parametrize(
    ("price", "code"),
    [("$5", ""), ("US$ 5", "USD"), ("5 EUR", "EUR"), ("€5", "EUR"), ("£5", "GBP"), ("", "")],
)
def test_a_currency_is_named_only_where_the_sign_is_of_one_country(price: str, code: str) -> None:
    assert currency(price) == code


def test_specifications_are_read_from_lists_and_tables() -> None:
    rows = "<dl><dt>Brand:</dt><dd>Vela</dd><dt>Volume</dt><dd>1.5 l</dd></dl>"
    found = extract(page(rows + "<table><tr><th>Body</th><td>steel</td></tr></table>"), "/p/1")
    assert (found.brand, found.details) == ("Vela", {"Volume": "1.5 l", "Body": "steel"})


@pytest.mark.parametrize(
    "text", ["", " ", "<!-- -->", "\x00", "{}", "<script type='application/ld+json'>", "\ud800"]
)
def test_what_is_no_page_gives_nothing(text: str) -> None:
    found = extract(text, "/p/1")
    assert (found.title, found.price) == (NOTHING.title, NOTHING.price)


def test_no_mangled_page_raises() -> None:
    rng = Random(3)
    products = catalogue(seed=1, listings=60, noise=0.2)
    for index, product in enumerate(products):
        text = shop_pages.product(product, products[:3], index / len(products))
        for _ in range(5):
            start = rng.randrange(len(text))
            extract(text[:start] + text[start + rng.randrange(40) :], "/p/1")


def test_deep_nesting_is_no_trouble() -> None:
    assert extract(page("<div>" * 5000 + "<b>$30</b>"), "/p/1").title == "Kettle"
    assert extract(ld(PRODUCT).replace('"usd"', "[" * 100_000), "/p/1").title == "Seen"


@pytest.mark.parametrize(("markup", "place"), [(0.0, "json-ld"), (0.8, "microdata"), (0.95, "page")])
def test_every_field_of_every_product_is_read_back_from_each_kind_of_page(markup: float, place: str) -> None:
    products = catalogue(seed=2, listings=300, noise=0.2)
    for index, product in enumerate(products):
        others = [products[index - 1], products[index - 2]]
        found = extract(shop_pages.product(product, others, markup), shop_pages.address(product))
        assert (found.title, found.brand, found.category) == (product.title, product.brand, product.category)
        assert (found.description, found.details) == (product.description, product.details)
        price = float(found.price.strip("$USD ")) if found.price else None
        assert price == product.price, product
        assert found.found_in == (place if product.price else "")
