"""Structured data of a page: each notation, and the traps of each."""

import time

import pytest

from components.sources.extraction.markup import _blocks
from components.sources.extraction.product import extract
from tests.support.product_pages import PRODUCT, json_ld, page


def test_json_ld_gives_every_field_and_the_price_as_written() -> None:
    extracted = extract(json_ld(PRODUCT), "/p/1")
    assert (extracted.title, extracted.description, extracted.brand) == (
        "Kettle & Cup",
        "Boils water.",
        "Vela",
    )
    assert (extracted.category, extracted.details) == ("Kitchen", {"Volume": "1.5 l"})
    assert (extracted.price, extracted.currency, extracted.found_in) == ("1,299.90", "USD", "json-ld")


def test_a_number_in_json_ld_keeps_its_digits() -> None:
    text = json_ld(PRODUCT).replace('"1,299.90"', "19.90")
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
    assert extract(json_ld({**PRODUCT, "offers": offers}), "/p/1").price == "7"


def test_the_product_is_found_in_a_graph_in_a_list_and_under_main_entity() -> None:
    for block in ({"@graph": [{"@type": "WebSite"}, PRODUCT]}, [PRODUCT], {"mainEntity": PRODUCT}):
        assert extract(json_ld({"@type": "BreadcrumbList"}, block), "/p/1").price == "1,299.90"


def test_of_several_products_the_one_of_this_url_is_read() -> None:
    other = {**PRODUCT, "name": "Other", "url": "/p/2"}
    assert extract(json_ld(other, {**PRODUCT, "url": "/p/1"}), "/p/1").title == "Kettle & Cup"


def test_the_price_of_a_related_product_is_not_that_of_a_product_without_one() -> None:
    without = {key: value for key, value in PRODUCT.items() if key != "offers"}
    extracted = extract(json_ld({**without, "isRelatedTo": PRODUCT}), "/p/1")
    assert (extracted.price, extracted.currency, extracted.found_in) == ("", "", "")


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
def test_json_ld_that_shops_often_break_is_repaired(written: str) -> None:
    text = f'<h1>Seen</h1><script type="application/ld+json">{written}</script>'
    assert (extract(text, "/p/1").price, extract(text, "/p/1").found_in) == ("7", "json-ld")


def test_an_offer_is_looked_up_by_its_id_in_the_graph() -> None:
    offer = {"@id": "#o", "@type": "Offer", "price": "7"}
    assert extract(json_ld({"@graph": [{**PRODUCT, "offers": {"@id": "#o"}}, offer]}), "/p/1").price == "7"


@pytest.mark.parametrize(("url", "price"), [("/p/1?v=2", "9"), ("/p/1", "7")])
def test_of_a_product_group_the_variant_of_the_url_is_read_or_else_the_cheapest(url: str, price: str) -> None:
    variants = [
        {"@type": "Product", "offers": {"price": amount, "url": f"/p/1?v={number}"}}
        for number, amount in ((1, "8"), (2, "9"), (3, "7"))
    ]
    group = {"@type": "ProductGroup", "name": "Kettle", "hasVariant": variants}
    assert extract(json_ld(group), url).price == price


def test_a_page_of_several_products_has_no_price_from_their_markup() -> None:
    assert extract(json_ld(PRODUCT, {**PRODUCT, "name": "Pan"}), "/shelf").price == ""


def test_a_price_of_zero_is_a_placeholder() -> None:
    assert extract(json_ld({**PRODUCT, "offers": {"price": "0.00"}}), "/p/1").price == ""


def test_without_a_category_the_end_of_the_breadcrumb_trail_is_it() -> None:
    trail = {"@type": "BreadcrumbList", "itemListElement": [{"name": "Home"}, {"name": "Kettles"}]}
    without = {key: value for key, value in PRODUCT.items() if key != "category"}
    assert extract(json_ld(trail, without), "/p/1").category == "Kettles"


RDFA = """<div vocab="http://schema.org/" typeof="Product"><span property="name">Pot</span>
<div property="offers" typeof="Offer"><b property="price" content="24.50">24,50</b>
<meta property="priceCurrency" content="EUR"></div></div>"""


def test_rdfa_is_read_like_microdata() -> None:
    extracted = extract(f"<html><body>{RDFA}</body></html>", "/p/1")
    assert (extracted.title, extracted.price, extracted.currency, extracted.found_in) == (
        "Pot",
        "24.50",
        "EUR",
        "rdfa",
    )


MICRODATA = """<div itemscope itemtype="http://schema.org/Product">
<div itemprop="isRelatedTo" itemscope itemtype="http://schema.org/Product"><b itemprop="name">Cup</b>
  <i itemprop="offers" itemscope itemtype="http://schema.org/Offer"><b itemprop="price">3</b></i></div>
<b itemprop="name">Kettle</b> <span itemprop="brand">Vela</span>
<p itemprop="offers" itemscope itemtype="http://schema.org/Offer">
  <meta itemprop="priceCurrency" content="EUR"><b itemprop="price" content="24.50">24,50</b></p>
<!-- a comment --></div>"""


def test_microdata_keeps_nested_items_apart() -> None:
    extracted = extract(page(MICRODATA), "/p/1")
    assert (extracted.title, extracted.brand, extracted.price) == ("Kettle", "Vela", "24.50")
    assert (extracted.currency, extracted.found_in) == ("EUR", "microdata")


def test_meta_tags_fill_fields_that_no_other_reading_has() -> None:
    tags = {"og:title": "Pot", "product:price:amount": "24.5", "product:price:currency": "EUR"}
    head = "".join(f'<meta property="{name}" content="{value}">' for name, value in tags.items())
    extracted = extract(f"<html><head>{head}</head><body></body></html>", "/p/1")
    assert (extracted.title, extracted.price, extracted.currency, extracted.found_in) == (
        "Pot",
        "24.5",
        "EUR",
        "meta",
    )


@pytest.mark.parametrize("piece", [" ", "\n", "/* ", "{} ", "]]>", "<!--", "[1],", ",  "])
def test_the_work_for_a_script_grows_with_its_length_alone(piece: str) -> None:
    def seconds(repeats: int) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            list(_blocks(f"x {piece * repeats} x"))
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(16_000) < 3.5 * seconds(8_000) + 0.01
