"""The extractor on small pages: each kind of markup, and the traps of each."""

import json
import math
import re
from dataclasses import asdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.curation.cleaning import parse_price
from components.sources.extraction.money import currency
from components.sources.extraction.product import EMPTY, extract
from components.synthetic import shop_pages
from components.synthetic.catalogue import catalogue

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
    result = extract(ld(PRODUCT), "/p/1")
    assert (result.title, result.description, result.brand) == ("Kettle & Cup", "Boils water.", "Vela")
    assert (result.category, result.details) == ("Kitchen", {"Volume": "1.5 l"})
    assert (result.price, result.currency, result.found_in) == ("1,299.90", "USD", "json-ld")


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
    result = extract(ld({**without, "isRelatedTo": PRODUCT}), "/p/1")
    assert (result.price, result.currency, result.found_in) == ("", "", "")


def test_broken_json_ld_falls_back_to_what_is_seen() -> None:
    text = ld(PRODUCT).replace("}}", "}").replace("</body>", "<p class='price'>$5</p></body>")
    result = extract(text, "/p/1")
    assert (result.title, result.price, result.found_in) == ("Seen", "$5", "page")


@pytest.mark.parametrize(
    "written",
    [
        '{"@type": "Product", "name": "Kettle", "offers": {"price": "7",},}',
        '{"@type": "Product", "description": "two\nlines", "offers": {"price": "7"}}',
        '<!-- {"@type": "Product", "offers": {"price": "7"}} -->',
        '//<![CDATA[\n{"@type": "Product", "offers": {"price": "7"}}\n//]]>',
        '{"@type": "WebSite"};{"@type": "Product", "offers": {"price": "7"}};',
        '{"@type": "Product", /* set by a plug-in */ "offers": {"price": "7"}}',
    ],
)
def test_json_ld_that_shops_often_break_is_mended(written: str) -> None:
    text = f'<h1>Seen</h1><script type="application/ld+json">{written}</script>'
    assert (extract(text, "/p/1").price, extract(text, "/p/1").found_in) == ("7", "json-ld")


def test_an_offer_is_found_by_its_id_elsewhere_in_the_graph() -> None:
    offer = {"@id": "#o", "@type": "Offer", "price": "7"}
    assert extract(ld({"@graph": [{**PRODUCT, "offers": {"@id": "#o"}}, offer]}), "/p/1").price == "7"


@pytest.mark.parametrize(("url", "price"), [("/p/1?v=2", "9"), ("/p/1", "7")])
def test_of_a_group_the_variant_of_the_address_is_taken_and_else_the_cheapest(url: str, price: str) -> None:
    variants = [
        {"@type": "Product", "offers": {"price": amount, "url": f"/p/1?v={number}"}}
        for number, amount in ((1, "8"), (2, "9"), (3, "7"))
    ]
    group = {"@type": "ProductGroup", "name": "Kettle", "hasVariant": variants}
    assert extract(ld(group), url).price == price


def test_a_page_that_marks_up_several_products_and_is_about_none_has_no_price_from_them() -> None:
    assert extract(ld(PRODUCT, {**PRODUCT, "name": "Pan"}), "/shelf").price == ""


def test_a_price_of_zero_is_a_placeholder() -> None:
    assert extract(ld({**PRODUCT, "offers": {"price": "0.00"}}), "/p/1").price == ""


def test_the_category_is_else_the_end_of_the_breadcrumb_trail() -> None:
    trail = {"@type": "BreadcrumbList", "itemListElement": [{"name": "Home"}, {"name": "Kettles"}]}
    without = {key: value for key, value in PRODUCT.items() if key != "category"}
    assert extract(ld(trail, without), "/p/1").category == "Kettles"


RDFA = """<div vocab="http://schema.org/" typeof="Product"><span property="name">Pot</span>
<div property="offers" typeof="Offer"><b property="price" content="24.50">24,50</b>
<meta property="priceCurrency" content="EUR"></div></div>"""


def test_rdfa_is_read_like_microdata() -> None:
    result = extract(f"<html><body>{RDFA}</body></html>", "/p/1")
    assert (result.title, result.price, result.currency, result.found_in) == ("Pot", "24.50", "EUR", "rdfa")


def test_meta_tags_give_what_nothing_else_gives() -> None:
    tags = {"og:title": "Pot", "product:price:amount": "24.5", "product:price:currency": "EUR"}
    head = "".join(f'<meta property="{name}" content="{value}">' for name, value in tags.items())
    result = extract(f"<html><head>{head}</head><body></body></html>", "/p/1")
    assert (result.title, result.price, result.currency, result.found_in) == ("Pot", "24.5", "EUR", "meta")


def test_markup_that_the_page_contradicts_is_out_of_date() -> None:
    text = ld(PRODUCT).replace("</body>", "<p class='price'>€24.50</p></body>")
    result = extract(text, "/p/1")
    assert (result.price, result.currency, result.found_in) == ("€24.50", "EUR", "page")


def test_every_field_says_where_on_the_page_it_was() -> None:
    body = "<h1>Pot</h1><p class='price'>$24.50</p><link rel='license' href='https://a.example/by'>"
    result = extract(f"<html><body>{body}</body></html>", "/p/1")
    assert result.places == {"title": "page", "rights": "head", "price": "page /html/body/p"}
    assert result.rights == "https://a.example/by"
    assert extract(ld(PRODUCT), "/p/1").places["price"] == "json-ld offers.price"


MICRODATA = """<div itemscope itemtype="http://schema.org/Product">
<div itemprop="isRelatedTo" itemscope itemtype="http://schema.org/Product"><b itemprop="name">Cup</b>
  <i itemprop="offers" itemscope itemtype="http://schema.org/Offer"><b itemprop="price">3</b></i></div>
<b itemprop="name">Kettle</b> <span itemprop="brand">Vela</span>
<p itemprop="offers" itemscope itemtype="http://schema.org/Offer">
  <meta itemprop="priceCurrency" content="EUR"><b itemprop="price" content="24.50">24,50</b></p>
<!-- a comment --></div>"""


def test_microdata_keeps_nested_items_apart() -> None:
    result = extract(page(MICRODATA), "/p/1")
    assert (result.title, result.brand, result.price) == ("Kettle", "Vela", "24.50")
    assert (result.currency, result.found_in) == ("EUR", "microdata")


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
    result = extract(page(body), "/p/1")
    assert (result.price, result.found_in) == ("", "")


def test_the_country_of_the_page_says_whose_dollar_it_is() -> None:
    text = page("<b class='price'>$30</b>")
    assert extract(text, "/p/1").currency == ""
    assert extract(text.replace("<html>", '<html lang="en-CA">'), "/p/1").currency == "CAD"
    assert extract(text, "https://a.example.com.au/p/1").currency == "AUD"


@pytest.mark.parametrize(
    ("price", "code"),
    [("$5", ""), ("US$ 5", "USD"), ("5 EUR", "EUR"), ("€5", "EUR"), ("£5", "GBP"), ("", "")],
)
def test_a_currency_is_named_only_where_the_sign_is_of_one_country(price: str, code: str) -> None:
    assert currency(price) == code


def test_specifications_are_read_from_lists_and_tables() -> None:
    rows = "<dl><dt>Brand:</dt><dd>Vela</dd><dt>Volume</dt><dd>1.5 l</dd></dl>"
    result = extract(page(rows + "<table><tr><th>Body</th><td>steel</td></tr></table>"), "/p/1")
    assert (result.brand, result.details) == ("Vela", {"Volume": "1.5 l", "Body": "steel"})


@pytest.mark.parametrize(
    "text", ["", " ", "<!-- -->", "\x00", "{}", "<script type='application/ld+json'>", "\ud800"]
)
def test_what_is_no_page_gives_nothing(text: str) -> None:
    result = extract(text, "/p/1")
    assert (result.title, result.price) == (EMPTY.title, EMPTY.price)


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


FRAGMENTS = st.sampled_from(
    ("<div>", "</div>", "<b class='price'>", "<sup>", "<s>", "<!--", "</script>", "{", "[", "'>", "$", "€",
     "<script type='application/ld+json'>", '"offers":', "itemscope itemprop='offers'", "1.299,00",
     "99", "&#x110000;", "kr", "Was", "<meta property='og:price:amount' content='", "<div typeof='Product'>")
)  # fmt: skip
PAGES = st.lists(FRAGMENTS | st.text(max_size=8), max_size=40).map("".join)


@settings(max_examples=150, deadline=None)
@given(PAGES, st.text(max_size=20))
def test_whatever_the_page_only_a_listing_comes_out_and_its_price_is_read_or_refused(
    html: str, url: str
) -> None:
    result = extract(html, url)
    assert all(isinstance(value, str | dict) for value in asdict(result).values())
    assert bool(result.price) == bool(result.found_in)
    number = parse_price(result.price)
    assert number is None or math.isfinite(number)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.,-' $€£kr\u00a0\u202fUSD", max_size=30) | st.text(max_size=30))
def test_whatever_is_written_only_a_number_or_none_is_read_and_only_a_code_or_nothing(written: str) -> None:
    number = parse_price(written)
    assert number is None or math.isfinite(number)
    assert re.fullmatch("(?:[A-Z]{3})?", currency(written))


@pytest.mark.parametrize(("markup", "place"), [(0.0, "json-ld"), (0.8, "microdata"), (0.95, "page")])
def test_every_field_of_every_product_is_read_back_from_each_kind_of_page(markup: float, place: str) -> None:
    products = catalogue(seed=2, listings=300, noise=0.2)
    for index, product in enumerate(products):
        others = [products[index - 1], products[index - 2]]
        result = extract(shop_pages.product(product, others, markup), shop_pages.address(product))
        assert (result.title, result.brand, result.category) == (
            product.title,
            product.brand,
            product.category,
        )
        assert (result.description, result.details) == (product.description, product.details)
        price = float(result.price.strip("$USD ")) if result.price else None
        assert price == product.price, product
        assert result.found_in == (place if product.price else "")
