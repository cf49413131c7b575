"""The generated catalogue behind the demo shop, and the text that the embedded base model has read.

Prices follow a documented law, so that the best possible error is known. With b the brand and log2 the
logarithm to base 2:

    log(median) = level(category) + tier(b)
                + sum over specifications of slope * (doublings(value) up to the knee, half beyond it)
                + sum over features it has of worth
                  (the category's first feature: worth * 1.5 for tier >= 0.35, * 0.5 for tier <= -0.35)
                + worth(choice) + worth(condition) + 0.85 * log(pieces in the pack)
    price       = round(median * exp(noise * N(0, 1))), at least 1

    doublings(value) = log2(value / typical)

All numbers are in `price_law.py`, and the text of a listing states every term. Products whose median lies
outside 8 to 450 dollars are not stocked. The law is fixed; a seed draws products.

Pretraining reads listings of the same grammar under another law (`PRETRAINING`), as of another market in
which the same facts weigh otherwise: brands and specifications move prices less, by the factors `TIERS` and
`SLOPES`, features, choices and the condition more (`WORTHS`), every category is cheaper, by a fifth to almost
a half, and there is less noise. Who has read them knows what a price hangs on, not how much it is here: no
rescaling of its answers gives the shop's prices. The model codes in its titles come from another range than
the shop's, so that no listing is in both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from components.model.listing_text import listing_text
from components.synthetic.price_law import CATEGORIES, CONDITIONS, PACK_EXPONENT, PACKS, Category, Spec
from components.synthetic.wording import Facts, Wording, reword, write

__all__ = ["Product", "catalogue", "corpus", "listing_text"]

MEDIANS = (8.0, 450.0)  # dollars; what lies outside is not stocked
TOP_TIER, BUDGET_TIER = 0.35, -0.35
SIGNATURE_ON_TOP, SIGNATURE_ON_BUDGET = 1.5, 0.5
PRICELESS, RELISTED = 0.04, 0.06  # shares of the catalogue
CORPUS_NOISE = 0.1
CORPUS_PRICES = range(1, 1000)
CHEAPER = (0.2, 0.6)  # taken off the level of a category, log dollars
TIERS, SLOPES, WORTHS = 0.5, 0.4, 1.5  # factors on tiers, on slopes, on all other worths
SHOP_LETTERS, CORPUS_LETTERS = "ABCDEFGHJKLM", "NPQRSTUVWXYZ"


@dataclass(frozen=True)
class Product:
    """One listing of the shop."""

    sku: str
    category: str
    brand: str
    title: str
    description: str
    details: dict[str, str]
    """Some of the specifications, name to value; title and description state the others."""
    price: int | None
    """Dollars on the page; None for a listing without a price."""
    median: float
    """Dollars: the law's median, also where the price is None."""
    relisting_of: str | None
    """SKU of the product that this is a near-duplicate listing of; None for an original."""


@dataclass(frozen=True)
class PriceLaw:
    """What every fact of a product is worth: in the shop, or in the lists that pretraining reads."""

    categories: dict[str, Category]
    """By name: level, tiers of the brands, slopes, and worths of features and choices."""
    conditions: dict[str, float]
    """Condition to worth."""

    def median(self, facts: Facts) -> float:
        """The median price of a product, dollars."""
        category = self.categories[facts.category.name]
        tier = category.brands[facts.brand]
        log = category.level + tier
        for spec, value in zip(category.specs, facts.specs, strict=True):
            log += _spec_worth(spec, value)
        for index, (feature, has) in enumerate(zip(category.features, facts.features, strict=True)):
            log += has * feature.worth * (_signature_factor(tier) if index == 0 else 1.0)
        log += category.choice.options[facts.choice] + self.conditions[facts.condition]
        return math.exp(log + PACK_EXPONENT * math.log(facts.pack))


def catalogue(seed: int, listings: int, noise: float) -> list[Product]:
    """The catalogue of the demo shop: `listings` products, 4% without a price, 6% re-listings of others.

    `noise` is the standard deviation of the log-normal noise.

    A re-listing has the facts, brand, price and details of its original, one word more in its title and two
    more at the end of its description: the Jaccard similarity of their 3-word shingles is above 0.9 in
    details and description, above 0.8 in the whole text.
    """
    rng = Random(f"catalogue {seed}")
    again = round(RELISTED * listings)
    products: list[Product] = []
    for facts, median in _stock(rng, SHOP, listings - again):
        wording = write(rng, facts, _model(rng, SHOP_LETTERS))
        price = max(1, round(median * math.exp(noise * rng.gauss(0, 1))))
        products.append(
            Product(
                sku=_sku(facts.category.prefix, len(products)),
                category=facts.category.name,
                brand=facts.brand,
                title=wording.title,
                description=wording.description,
                details=wording.details,
                price=price,
                median=median,
                relisting_of=None,
            )
        )
    hidden = set(rng.sample(range(len(products)), round(PRICELESS * listings)))
    products = [replace(p, price=None) if i in hidden else p for i, p in enumerate(products)]
    for original in rng.sample([p for p in products if p.price is not None], again):
        wording = reword(rng, Wording(original.title, original.details, original.description))
        sku = _sku(original.sku[:2], len(products))
        products.append(replace(original, sku=sku, relisting_of=original.sku, **vars(wording)))
    rng.shuffle(products)
    return products


def corpus(seed: int, texts: int) -> list[tuple[str, int]]:
    """Pretraining's listings: (text as in `schemas.Item.text`, price in dollars from 1 to 999)."""
    rng = Random(f"corpus {seed}")
    rows = []
    for facts, median in _stock(rng, PRETRAINING, texts):
        price = round(median * math.exp(CORPUS_NOISE * rng.gauss(0, 1)))
        text = write(rng, facts, _model(rng, CORPUS_LETTERS)).text(facts.brand)
        rows.append((text, min(max(price, CORPUS_PRICES[0]), CORPUS_PRICES[-1])))
    return rows


def _stock(rng: Random, law: PriceLaw, number: int) -> Iterator[tuple[Facts, float]]:
    """Random products whose median lies within MEDIANS, so many; with their medians in dollars."""
    low, high = MEDIANS
    while number:
        facts = _draw(rng)
        median = law.median(facts)
        if low <= median <= high:
            number -= 1
            yield facts, median


def _draw(rng: Random) -> Facts:
    category = rng.choice(CATEGORIES)
    return Facts(
        category=category,
        brand=rng.choice(list(category.brands)),
        specs=tuple(rng.choice(spec.values) for spec in category.specs),
        features=tuple(rng.random() < 0.45 for _ in category.features),
        choice=rng.choice(list(category.choice.options)),
        condition=rng.choices(list(CONDITIONS), (80, 7, 13))[0],
        pack=rng.choice(list(PACKS)) if category.packs and rng.random() < 0.1 else 1,
    )


def _spec_worth(spec: Spec, value: float) -> float:
    doublings = math.log2(min(value, spec.knee) / spec.typical)
    beyond = math.log2(max(value, spec.knee) / spec.knee)
    return spec.slope * (doublings + 0.5 * beyond)


def _signature_factor(tier: float) -> float:
    if tier >= TOP_TIER:
        return SIGNATURE_ON_TOP
    return SIGNATURE_ON_BUDGET if tier <= BUDGET_TIER else 1.0


def _model(rng: Random, letters: str) -> str:
    return f"{rng.choice(letters)}{rng.randint(100, 999)}"


def _sku(prefix: str, number: int) -> str:
    return f"{prefix}-{number:05d}"


def _pretraining_law() -> PriceLaw:
    """Fixed, whatever the seed of the corpus."""
    rng = Random("the law of pretraining")
    conditions = {condition: worth * WORTHS for condition, worth in CONDITIONS.items()}
    return PriceLaw({category.name: _reweighted(rng, category) for category in CATEGORIES}, conditions)


def _reweighted(rng: Random, category: Category) -> Category:
    """The category with the same words, in a market where they weigh otherwise."""
    choice = category.choice
    return replace(
        category,
        level=category.level - rng.uniform(*CHEAPER),
        brands={brand: tier * TIERS for brand, tier in category.brands.items()},
        specs=tuple(replace(spec, slope=spec.slope * SLOPES) for spec in category.specs),
        features=tuple(replace(feature, worth=feature.worth * WORTHS) for feature in category.features),
        choice=replace(choice, options={name: worth * WORTHS for name, worth in choice.options.items()}),
    )


SHOP = PriceLaw({category.name: category for category in CATEGORIES}, CONDITIONS)
PRETRAINING = _pretraining_law()
