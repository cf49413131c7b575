"""A catalogue of sleeping bags whose comfort temperature follows a known law: a number that is no price, has
decimals and is often below zero.

    degrees = WARMEST - LOFT * sqrt(grams of filling * warmth of the filling) + shape + extras + maker + noise

The noise is normal, so that the best possible error is known. The phrases of the descriptions are drawn and
shuffled, so that two bags hardly share a text.
"""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

WARMEST, LOFT = 22.0, 0.62
FILLINGS = {
    "synthetic fibre": 1.0,
    "recycled fibre": 0.9,
    "duck down, 650 cuin": 1.45,
    "goose down, 750 cuin": 1.75,
    "goose down, 850 cuin": 2.05,
}
"""How warm a gram is, beside one of synthetic fibre."""
SHAPES = {"Mummy bags": 0.0, "Barrel bags": 1.2, "Rectangular bags": 2.4, "Quilts": 3.2}
EXTRAS = {
    "a draught collar": -1.6,
    "an insulated hood": -1.1,
    "a two-way zip": 0.4,
    "a padded footbox": -0.9,
    "a window of mesh at the feet": 1.3,
    "a draught tube behind the zip": -0.7,
}
MAKERS = {
    "Nordlys": -2.0, "Alpinor": -1.2, "Fjellvik": -0.6, "Camphaus": 0.9, "Duneway": 1.6,
    "Tramontana": -0.3, "Brookside": 1.1, "Karibu": 0.4, "Sierra Nine": -0.9, "Mosstrail": 0.2,
}  # fmt: skip
"""How much colder (below 0) than it says itself the bags of a maker are good for."""
MODELS = ("Aurora", "Basin", "Cirrus", "Drift", "Ember", "Fox", "Gale", "Hollow", "Ibex", "Juniper", "Kite")
COLOURS = ("moss", "slate", "rust", "navy", "ochre", "charcoal", "teal", "plum", "sand", "pine")
USES = (
    "bike trips along the coast", "huts without a stove", "nights in a van", "long ridges", "school camps",
    "fast weekends", "canoe tours", "base camps", "festivals", "winter bivouacs", "summer lakes",
    "pilgrim ways",
)  # fmt: skip
REMARKS = (
    "The lining dries within an hour", "It packs to the size of a loaf", "A loop at each end lets it air out",
    "The zip runs without catching the cloth", "An inner pocket takes a phone or a lamp",
    "The shell sheds dew and crumbs alike", "Two of the same model join into one",
    "The seams are sewn with room to loft", "The stuff sack has four straps",
    "A spare pull cord is sewn into the label", "The cut leaves room to turn on the side",
    "The cloth is made from old nets", "A repair patch comes with it", "It may be washed at thirty degrees",
    "The foot end is wide enough for boots", "The maker repairs it for ten years",
)  # fmt: skip


class SleepingBag(NamedTuple):
    """A listing and what its law says."""

    sku: str
    category: str
    brand: str
    title: str
    description: str
    details: dict[str, str]
    degrees: float
    """Celsius, to a tenth: the comfort temperature that the shop states."""
    median: float
    """What the law says without noise."""


def sleeping_bags(seed: int, listings: int, noise: float) -> list[SleepingBag]:
    """So many listings; `noise` is the standard deviation of their degrees about the law."""
    rng = Random(f"sleeping bags {seed}")
    return [_bag(rng, number, noise) for number in range(listings)]


def _bag(rng: Random, number: int, noise: float) -> SleepingBag:
    shape, filling, maker = (rng.choice(list(table)) for table in (SHAPES, FILLINGS, MAKERS))
    grams = round(rng.uniform(180, 1500) / 10) * 10
    extras = rng.sample(list(EXTRAS), rng.randint(0, 3))
    median = (
        WARMEST
        - LOFT * math.sqrt(grams * FILLINGS[filling])
        + SHAPES[shape]
        + sum(EXTRAS[extra] for extra in extras)
        + MAKERS[maker]
    )
    model, colour = f"{rng.choice(MODELS)} {rng.randint(100, 999)}", rng.choice(COLOURS)
    sentences = [
        f"Filled with {grams} g of {filling}",
        f"Comes with {' and '.join(extras)}" if extras else "Nothing on it that could break",
        f"In {colour}, made for {' and '.join(rng.sample(USES, 2))}",
        *rng.sample(REMARKS, 3),
    ]
    rng.shuffle(sentences)
    length = rng.choice((185, 200, 215))
    return SleepingBag(
        sku=f"SB{number:05d}",
        category=shape,
        brand=maker,
        title=f"{maker} {model} {shape.removesuffix('s').lower()}, {colour}",
        description=". ".join(sentences) + ".",
        details={
            "Length": f"{length} cm",
            "Colour": colour,
            "Filling": filling,
            "Filling weight": f"{grams} g",
        },
        degrees=round(median + noise * rng.gauss(0, 1), 1),
        median=median,
    )
