"""The product of a whole page: how its readings are combined, on small, mangled and hand-written pages."""

from dataclasses import asdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.extract import PAGES as FOLDER
from benchmarks.extract import LabelledPage, all_readings, is_right, pages, score, structured_data
from components.sources.extraction.money import amount
from components.sources.extraction.product import EMPTY, extract
from components.synthetic import shop_pages
from components.synthetic.catalogue import catalogue
from tests.support.product_pages import PRODUCT, json_ld, page

LABELLED = pages()
ALMOST_ALL = 0.9


def test_broken_json_ld_falls_back_to_the_visible_page() -> None:
    text = json_ld(PRODUCT).replace("}}", "}").replace("</body>", "<p class='price'>$5</p></body>")
    extracted = extract(text, "/p/1")
    assert (extracted.title, extracted.price, extracted.found_in) == ("Seen", "$5", "page")


def test_a_visible_price_overrules_markup_that_contradicts_it() -> None:
    text = json_ld(PRODUCT).replace("</body>", "<p class='price'>€24.50</p></body>")
    extracted = extract(text, "/p/1")
    assert (extracted.price, extracted.currency, extracted.found_in) == ("€24.50", "EUR", "page")


def test_every_field_names_its_place_on_the_page() -> None:
    body = "<h1>Pot</h1><p class='price'>$24.50</p><link rel='license' href='https://a.example/by'>"
    extracted = extract(f"<html><body>{body}</body></html>", "/p/1")
    assert extracted.places == {"title": "page", "rights": "head", "price": "page /html/body/p"}
    assert extracted.rights == "https://a.example/by"
    assert extract(json_ld(PRODUCT), "/p/1").places["price"] == "json-ld offers.price"


@pytest.mark.parametrize(
    "text", ["", " ", "<!-- -->", "\x00", "{}", "<script type='application/ld+json'>", "\ud800"]
)
def test_text_that_is_no_page_gives_empty_fields(text: str) -> None:
    extracted = extract(text, "/p/1")
    assert (extracted.title, extracted.price) == (EMPTY.title, EMPTY.price)


def test_a_mangled_page_raises_nothing() -> None:
    rng = Random(3)
    products = catalogue(seed=1, listings=60, noise=0.2)
    for index, product in enumerate(products):
        text = shop_pages.product(product, products[:3], index / len(products))
        for _ in range(5):
            start = rng.randrange(len(text))
            extract(text[:start] + text[start + rng.randrange(40) :], "/p/1")


def test_deep_nesting_raises_nothing() -> None:
    assert extract(page("<div>" * 5000 + "<b>$30</b>"), "/p/1").title == "Kettle"
    assert extract(json_ld(PRODUCT).replace('"usd"', "[" * 100_000), "/p/1").title == "Seen"


FRAGMENTS = st.sampled_from(
    ("<div>", "</div>", "<b class='price'>", "<sup>", "<s>", "<!--", "</script>", "{", "[", "'>", "$", "€",
     "<script type='application/ld+json'>", '"offers":', "itemscope itemprop='offers'", "1.299,00",
     "99", "&#x110000;", "kr", "Was", "<meta property='og:price:amount' content='", "<div typeof='Product'>")
)  # fmt: skip


PAGES = st.lists(FRAGMENTS | st.text(max_size=8), max_size=40).map("".join)


@settings(max_examples=150, deadline=None)
@given(PAGES, st.text(max_size=20))
def test_any_page_gives_typed_fields_and_a_price_that_parses_or_is_refused(html: str, url: str) -> None:
    extracted = extract(html, url)
    assert all(isinstance(value, str | dict) for value in asdict(extracted).values())
    assert bool(extracted.price) == bool(extracted.found_in)
    number = amount(extracted.price)
    assert number is None or number.is_finite()


@pytest.mark.parametrize(("markup", "place"), [(0.0, "json-ld"), (0.8, "microdata"), (0.95, "page")])
def test_every_field_of_every_product_is_read_back_from_each_kind_of_markup(
    markup: float, place: str
) -> None:
    products = catalogue(seed=2, listings=300, noise=0.2)
    for index, product in enumerate(products):
        others = [products[index - 1], products[index - 2]]
        extracted = extract(shop_pages.product(product, others, markup), shop_pages.address(product))
        assert (extracted.title, extracted.brand, extracted.category) == (
            product.title,
            product.brand,
            product.category,
        )
        assert (extracted.description, extracted.details) == (product.description, product.details)
        price = float(extracted.price.strip("$USD ")) if extracted.price else None
        assert price == product.price, product
        assert extracted.found_in == (place if product.price else "")


# --- hand-written pages after real layouts, some of which the extractor was not tuned on ----------------


def test_every_hand_written_page_is_labelled_and_layouts_and_locales_are_many() -> None:
    files = {path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.html")}
    assert files == {page.page for page in LABELLED}
    assert len({page.layout for page in LABELLED}) >= 25
    assert len({page.locale for page in LABELLED}) >= 6
    assert len([page for page in LABELLED if page.held_out]) >= 10


@pytest.mark.parametrize("held_out", [False, True], ids=["tuned on", "held out"])
def test_the_f1_of_extracted_prices_is_above_0_8_and_above_that_of_structured_data(held_out: bool) -> None:
    labelled = [page for page in LABELLED if page.held_out == held_out]
    ours = score(labelled, all_readings)
    assert ours.f1 >= 0.80, str(ours)
    assert ours.f1 > score(labelled, structured_data).f1


def test_a_wrong_price_is_a_false_negative_and_a_false_positive() -> None:
    page = LabelledPage("a", "a", "en-US", "/p/1", "5.00", "USD", "A")
    wrong = all_readings(Written("<b class=price>US$6</b>"))
    measured = score([page], lambda _: wrong)
    assert (measured.right, measured.extracted, measured.expected, measured.f1) == (0, 1, 1, 0.0)
    assert is_right(page, all_readings(Written("<b class=price>US$5</b>")))
    assert not is_right(page, all_readings(Written("<b class=price>£5</b>")))


class Written(LabelledPage):
    """A page with this body."""

    def __init__(self, body: str) -> None:
        super().__init__("b", "b", "en", "/p/1", "5", "USD", "B")
        object.__setattr__(self, "body", body)

    @property
    def html(self) -> str:
        return f"<html><body><h1>B</h1>{self.body}</body></html>"


def test_a_title_is_extracted_from_almost_every_page() -> None:
    titles = [all_readings(page).title.casefold() for page in LABELLED]
    near = [
        page.title.casefold() in title or title in page.title.casefold()
        for page, title in zip(LABELLED, titles, strict=True)
    ]
    assert sum(near) >= ALMOST_ALL * len(LABELLED), [
        page.page for page, is_near in zip(LABELLED, near, strict=True) if not is_near
    ]
