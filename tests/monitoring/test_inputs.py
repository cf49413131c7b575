"""Drift of the inputs, on listings of the demo shop's generator."""

from __future__ import annotations

import numpy as np
import pytest

from components.monitoring.inputs import (
    OTHER,
    categories_of,
    category_feature,
    state_feature,
    text_features,
)
from components.monitoring.looks import Feature, Window, compared
from components.synthetic.catalogue import catalogue, listing_text

GERMAN = "Das Gerät ist für den Alltag und wird mit einem Netzteil und der Anleitung geliefert."


@pytest.fixture(scope="module")
def shop() -> tuple[list[str], list[str]]:
    """Texts and categories of 900 different listings."""
    products = [product for product in catalogue(3, 1200, 0.25) if product.relisting_of is None][:900]
    texts = [
        listing_text(product.title, product.brand, product.details, product.description)
        for product in products
    ]
    return texts, [product.category for product in products]


def p_value(feature: Feature) -> float:
    return compared(feature, Window(1, 0, len(feature.observed))).p


def test_length_and_language_of_other_listings_of_the_shop_have_not_shifted(
    shop: tuple[list[str], list[str]],
) -> None:
    texts, _ = shop
    assert all(p_value(feature) > 0.01 for feature in text_features(texts[:600], texts[600:]))


def test_longer_texts_shift_the_length_and_german_ones_the_language(
    shop: tuple[list[str], list[str]],
) -> None:
    texts, _ = shop
    longer, german = [text + " " + text[:80] for text in texts[600:]], [*texts[600:700], *[GERMAN] * 30]
    length, language = text_features(texts[:600], longer)
    assert p_value(length) < 1e-6
    assert p_value(language) > 0.01
    assert p_value(text_features(texts[:600], german)[1]) < 1e-6


def test_the_mix_of_categories_is_read_from_the_texts(shop: tuple[list[str], list[str]]) -> None:
    texts, named = shop
    read = categories_of(texts[:600], named[:600], texts[600:])
    assert read is not None
    assert (read[0] == named[:600]).mean() > 0.9
    assert p_value(category_feature(*read)) > 0.01
    few = [
        text for text, name in zip(texts[600:], named[600:], strict=True) if name in sorted(set(named))[:4]
    ]
    narrow = categories_of(texts[:600], named[:600], few)
    assert narrow is not None
    assert p_value(category_feature(*narrow)) < 1e-3


def test_categories_are_not_read_by_a_model_that_has_seen_the_text() -> None:
    """Of names that say nothing a model that has seen the text knows all, one that has not knows none."""
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 5000, 12)) for _ in range(400)]
    named = rng.choice(["a", "b"], 400).tolist()
    read = categories_of(texts, named, [])
    assert read is not None
    assert (read[0] == named).mean() < 0.65


def test_rare_categories_count_as_one_and_one_category_has_no_mix() -> None:
    texts = [f"thing {number}" for number in range(60)]
    read = categories_of(texts, ["a"] * 30 + ["b"] * 25 + list("cdefg"), texts[-5:])
    assert read is not None
    assert set(read[0]) <= {"a", "b", OTHER}
    assert categories_of(texts, ["a"] * 60, texts) is None


def test_hidden_states_are_compared_with_those_that_the_components_were_not_made_of() -> None:
    rng = np.random.default_rng(1)
    states, strange = rng.normal(size=(600, 40)), rng.normal(size=(120, 40))
    assert p_value(state_feature(states, strange, 8)) > 0.01
    feature = state_feature(states, strange + 1.5, 8)
    assert feature.reference.shape == (300, 8)
    assert p_value(feature) < 1e-6
