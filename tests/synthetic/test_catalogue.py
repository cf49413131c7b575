"""The generated catalogue: its price law, its texts, its shares, and that pretraining never reads it."""

from __future__ import annotations

import math
import re
import statistics

import pytest

from components.synthetic.catalogue import PRETRAINING, SHOP, Product, catalogue, corpus, listing_text
from components.synthetic.price_law import CATEGORIES, CONDITIONS, PACKS, Category
from components.synthetic.wording import DENIALS, Facts

NOISE = 0.25
ARTICLE = re.compile(r"\b(a|an) ")
PACK_MARKS = {n: (f"{n}-pack", f"pack of {n}", f"set of {word}", f"quantity: {n}", f"receive {word} of")
              for n, word in PACKS.items()}  # fmt: skip


@pytest.fixture(scope="module")
def products() -> list[Product]:
    return catalogue(seed=11, listings=3000, noise=NOISE)


def text(product: Product) -> str:
    return listing_text(product.title, product.brand, product.details, product.description)


def category_named(name: str) -> Category:
    return next(category for category in CATEGORIES if category.name == name)


def facts_in(product: Product) -> Facts:
    """The facts as the text alone states them. AssertionError where a term is not stated."""
    category = category_named(product.category)
    page = ARTICLE.sub("a ", text(product).lower())
    for denial in DENIALS:  # a denied feature is not there
        pattern = re.escape(ARTICLE.sub("a ", denial.lower())).replace(r"\{\}", r"[^.]*")
        page = re.sub(pattern, "", page)
    specs = []
    for spec in category.specs:
        stated = {
            value
            for value in spec.values
            for unit in spec.units
            if re.search(rf"(?<![\d.\w]){re.escape(f'{value:g}{unit.lower()}')}\b", page)
            and _is_about(spec.name, spec.phrases, f"{value:g}{unit.lower()}", product)
        }
        assert len(stated) == 1, (spec.name, stated, page)
        specs.append(stated.pop())
    phrases = [[ARTICLE.sub("a ", p.lower()) for p in feature.phrases] for feature in category.features]
    choices = [
        option
        for option in category.choice.options
        if product.details.get(category.choice.name) == option
        or any(ARTICLE.sub("a ", p.format(option).lower()) in page for p in category.choice.phrases)
    ]
    assert len(choices) == 1, (choices, page)
    conditions = [c for c in CONDITIONS if c != "new" and c in page]
    packs = [n for n, marks in PACK_MARKS.items() if any(mark in page for mark in marks)]
    assert len(conditions) <= 1
    assert len(packs) <= 1
    return Facts(
        category=category,
        brand=next(brand for brand in category.brands if brand.lower() in page),
        specs=tuple(specs),
        features=tuple(any(phrase in page for phrase in group) for group in phrases),
        choice=choices[0],
        condition=conditions[0] if conditions else "new",
        pack=packs[0] if packs else 1,
    )


def _is_about(name: str, phrases: tuple[str, ...], amount: str, product: Product) -> bool:
    """Whether the amount is this specification's, where two share a unit (a ring has only one in mm)."""
    page = ARTICLE.sub("a ", text(product).lower())
    return (
        product.details.get(name, "").lower() == amount
        or re.search(rf"(?<!\S){re.escape(amount)}(?!\S)", product.title.lower()) is not None
        or any(ARTICLE.sub("a ", phrase.format(amount).lower()) in page for phrase in phrases)
    )


def test_the_same_seed_gives_the_same_catalogue_and_another_seed_another() -> None:
    assert catalogue(3, 200, NOISE) == catalogue(3, 200, NOISE)
    assert catalogue(3, 200, NOISE) != catalogue(4, 200, NOISE)
    assert corpus(3, 200) == corpus(3, 200)
    assert corpus(3, 200) != corpus(4, 200)


@pytest.mark.parametrize("listings", [1, 40, 999])
def test_a_catalogue_has_exactly_the_listings_asked_for(listings: int) -> None:
    products = catalogue(7, listings, NOISE)
    assert len(products) == listings
    assert len({product.sku for product in products}) == listings


def test_a_tent_is_priced_as_worked_out_by_hand() -> None:
    facts = Facts(
        category_named("Tents"), "Isbre", (6, 2500, 3.2), (True, True, False, False), "carbon", "new", 1
    )
    by_hand = (
        4.73 + 0.49
        + 0.18 * (math.log2(5 / 3) + 0.5 * math.log2(6 / 5))  # half the slope beyond five persons
        - 0.13 * math.log2(3.2 / 3.0)
        + 0.17 * 1.5 + 0.11  # the signature feature of a top brand counts half more
        + 0.18
    )  # fmt: skip
    assert SHOP.median(facts) == pytest.approx(math.exp(by_hand))


def test_a_set_of_refurbished_lamps_is_priced_as_worked_out_by_hand() -> None:
    features = (True, True, False, False, True)
    facts = Facts(category_named("Lamps"), "Lichtpunkt", (1200, 25), features, "plastic", "refurbished", 3)
    by_hand = (
        3.53 - 0.63
        + 0.14 * (math.log2(1100 / 600) + 0.5 * math.log2(1200 / 1100)) + 0.10 * math.log2(25 / 50)
        + 0.20 * 0.5 + 0.12 + 0.05  # the signature feature of a budget brand counts half
        - 0.10 - 0.40 + 0.85 * math.log(3)
    )  # fmt: skip
    assert SHOP.median(facts) == pytest.approx(math.exp(by_hand))


def test_every_term_of_the_law_can_be_read_from_the_text(products: list[Product]) -> None:
    for product in products:
        assert SHOP.median(facts_in(product)) == pytest.approx(product.median), text(product)


def test_the_noise_has_the_stated_standard_deviation(products: list[Product]) -> None:
    own = [p for p in products if p.price is not None and p.median > 60 and p.relisting_of is None]
    noise = [math.log(p.price / p.median) for p in own if p.price is not None]
    assert statistics.fmean(noise) == pytest.approx(0, abs=0.02)
    assert statistics.stdev(noise) == pytest.approx(NOISE, abs=0.012)


def test_without_noise_a_price_is_the_rounded_median() -> None:
    assert all(p.price == round(p.median) for p in catalogue(5, 300, 0.0) if p.price is not None)


def test_one_listing_in_twenty_five_has_no_price_but_a_median(products: list[Product]) -> None:
    priceless = [product for product in products if product.price is None]
    assert len(priceless) == 120
    assert all(product.median > 0 for product in priceless)


def test_re_listings_are_the_same_product_in_nearly_the_same_words(products: list[Product]) -> None:
    by_sku = {product.sku: product for product in products}
    again = [product for product in products if product.relisting_of]
    assert len(again) == 180
    for product in again:
        original = by_sku[product.relisting_of or ""]
        assert product.title != original.title
        assert product.description != original.description
        assert (product.brand, product.details, product.price, product.median) == (
            original.brand, original.details, original.price, original.median,
        )  # fmt: skip
        assert jaccard(text(product), text(original)) >= 0.8


def test_two_products_are_never_nearly_the_same_text(products: list[Product]) -> None:
    own = [text(product) for product in products if product.relisting_of is None][:400]
    assert max(jaccard(a, b) for i, a in enumerate(own) for b in own[:i]) < 0.6


def jaccard(a: str, b: str) -> float:
    first, second = ({tuple(w[i : i + 3]) for i in range(len(w) - 2)} for w in (a.split(), b.split()))
    return len(first & second) / len(first | second)


def test_texts_are_short_and_name_no_price(products: list[Product]) -> None:
    for words in [text(product) for product in products] + [words for words, _ in corpus(5, 3000)]:
        assert 35 <= len(words.split()) <= 95, words
        assert not re.search(r"[$€£]|\b(price|prices|dollars?|usd|cost|cheap)", words.casefold()), words


def test_prices_are_skewed_like_a_shops_and_stay_below_a_thousand(products: list[Product]) -> None:
    medians = [product.median for product in products]
    assert min(medians) >= 8
    assert max(medians) <= 450
    assert 120 < statistics.fmean(medians) < 150
    assert statistics.median(medians) < 0.9 * statistics.fmean(medians)
    assert max(product.price or 0 for product in products) <= 999
    assert len({product.category for product in products}) == 10


def test_pretraining_shares_no_title_and_no_text_with_the_shop() -> None:
    texts = {text for seed in (1, 5, 11) for text, _ in corpus(seed, 3000)}
    titles = {text.splitlines()[0] for text in texts}
    for seed in (1, 5, 11):
        for product in catalogue(seed, 1000, NOISE):
            assert text(product) not in texts
            assert product.title not in titles


def test_pretraining_is_cheaper_in_every_category() -> None:
    lower = [category.level - PRETRAINING.categories[category.name].level for category in CATEGORIES]
    assert all(0.2 <= amount <= 0.6 for amount in lower)
    assert len(set(lower)) == len(CATEGORIES)
    prices = [price for _, price in corpus(5, 4000)]
    shop = [product.price for product in catalogue(11, 4000, NOISE) if product.price is not None]
    assert statistics.median(prices) < 0.85 * statistics.median(shop)
    assert min(prices) >= 1
    assert max(prices) <= 999


def test_in_pretraining_the_same_facts_weigh_otherwise() -> None:
    for category in CATEGORIES:
        other = PRETRAINING.categories[category.name]
        assert (other.nouns, other.scenes) == (category.nouns, category.scenes)
        assert other.brands == pytest.approx({brand: 0.5 * tier for brand, tier in category.brands.items()})
        assert [spec.slope for spec in other.specs] == pytest.approx([0.4 * s.slope for s in category.specs])
        options = {name: 1.5 * worth for name, worth in category.choice.options.items()}
        assert other.choice.options == pytest.approx(options)
        worths = [1.5 * feature.worth for feature in category.features]
        assert [feature.worth for feature in other.features] == pytest.approx(worths)


def test_a_product_of_pretraining_is_priced_as_worked_out_by_hand() -> None:
    tents = category_named("Tents")
    typical = tuple(spec.typical for spec in tents.specs)
    facts = Facts(tents, "Isbre", typical, (False,) * 4, "carbon", "open box", 1)
    by_hand = PRETRAINING.categories["Tents"].level + 0.5 * 0.49 + 1.5 * (0.18 - 0.16)
    assert PRETRAINING.median(facts) == pytest.approx(math.exp(by_hand))


def test_the_brand_is_left_out_where_the_title_begins_with_it() -> None:
    details = {"Tank": "1.5 l"}
    assert (
        listing_text("Ostrava Vela C1", "Ostrava", details, "Hot.") == "Ostrava Vela C1\nTank: 1.5 l.\nHot."
    )
    assert listing_text("Vela C1", "Ostrava", {}, "") == "Vela C1\nBrand: Ostrava."
