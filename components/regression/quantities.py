"""The quantities that a listing names: what it weighs, how large it is, what it holds.

A count of words knows "12" and "ounces", not that 12 ounces are less than two pounds. Numbers behind a name
("Item Weight: 12 Ounces") and those in running text ("a 64GB phone") are read, in one unit for each kind.
"""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np

from components.evaluation.resampling import Floats

LEAST, LARGEST = 1e-3, 1e12  # a serial number of 400 digits would be infinite
NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
NAMED = re.compile(r"(?:^|(?<=\n)|(?<=\. ))([^:.\n]{2,40}): (?=([^\n]{1,60}))")
"""The name of a detail and the beginning of what is behind it, where the next name may stand already."""
KINDS: dict[str, dict[str, float]] = {
    "weight": {  # in grams
        "mg|milligrams?": 0.001,
        "g|grams?": 1.0,
        "kg|kilograms?|kilos?": 1000.0,
        "oz|ounces?": 28.35,
        "lbs?|pounds?": 453.6,
    },
    "length": {  # in centimetres
        "mm|millimet(?:er|re)s?": 0.1,
        "cm|centimet(?:er|re)s?": 1.0,
        "m|met(?:er|re)s?": 100.0,
        "inch(?:es)?|in|[\"”][lwhd]?|''": 2.54,
        "feet|foot|ft|'": 30.48,
        "yards?": 91.44,
    },
    "volume": {  # in millilitres
        "ml|millilit(?:er|re)s?": 1.0,
        "l|lit(?:er|re)s?": 1000.0,
        r"fl\.? ?oz|fluid ounces?": 29.57,
        "quarts?|qt": 946.4,
        "gallons?|gal": 3785.0,
    },
    "memory": {"mb": 0.001, "gb": 1.0, "tb": 1000.0},  # in gigabytes
    "power": {"w|watts?|wattage": 1.0, "kw|kilowatts?": 1000.0, "hp|horsepower": 745.7},  # in watts
    "voltage": {"v|volts?": 1.0},
    "current": {"ma|milliamps?": 0.001, "a|amps?|amperes?": 1.0},
    "charge": {"mah": 1.0, "ah": 1000.0},  # in milliampere-hours
    "rotation": {"rpm": 1.0},
    "data rate": {"mbps": 1.0, "gbps": 1000.0},
    "frequency": {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
    "pixels": {"mp|megapixels?": 1.0},
    "time": {"hours?|hrs?": 60.0, "minutes?|mins?": 1.0, "years?": 525_600.0},  # in minutes
    "pieces": {"pieces?|pcs?|packs?|pk|count|ct|sets?|pairs?|sheets?": 1.0},
}
UNITS = [(kind, pattern, size) for kind, units in KINDS.items() for pattern, size in units.items()]
_TIMES = rf"(?:[^\w.]{{0,3}}[a-z\"]{{0,6}} ?[x×*] ?({NUMBER}))?"
_UNIT = "|".join(f"(?P<unit{position}>{pattern})" for position, (_, pattern, _) in enumerate(UNITS))
MEASURE = re.compile(rf"(?<![\w.])({NUMBER}){_TIMES}{_TIMES}[ -]?(?:{_UNIT})(?!\w)", re.I)
_FIRST = re.compile(NUMBER)


def quantities(text: str) -> dict[str, float]:
    """The quantities of a listing text by name: of each kind the largest, of each detail the first.

    `Item Weight: 12 Ounces.` gives `{"weight": 340.2, "item weight": 340.2}`; `4 x 6 inches` is a product of
    two lengths, `length 2`. From LEAST to LARGEST.
    """
    found: dict[str, float] = {}
    for match in MEASURE.finditer(text):
        kind, size = _measured(match)
        found[kind] = max(found.get(kind, 0.0), size)
    for name, behind in NAMED.findall(text):
        value = behind.partition(". ")[0]
        if measure := MEASURE.search(value):
            found.setdefault(name.casefold(), _measured(measure)[1])
        elif number := _FIRST.search(value):
            found.setdefault(name.casefold(), _bounded(_number(number[0])))
    return found


def commonest(texts: list[str], number: int) -> list[str]:
    """The names of the `number` quantities that most of the texts name."""
    counts = Counter(name for text in texts for name in quantities(text))
    return [name for name, _ in counts.most_common(number)]


def logarithms(texts: list[str], names: list[str]) -> Floats:
    """The logarithms of the length of each text in characters and of its quantities of these names,
    (n, 1 + names); NaN where a text does not name one.
    """
    rows = [[max(len(text), 1), *map(quantities(text).get, names)] for text in texts]
    return np.log(np.array(rows, dtype=float).reshape(len(texts), 1 + len(names)))


def _measured(match: re.Match[str]) -> tuple[str, float]:
    """(kind, with the number of factors where there are several; size in the unit of the kind)."""
    kind, _, size = UNITS[int(str(match.lastgroup).removeprefix("unit"))]
    factors = [_number(text) * size for text in match.groups()[:3] if text]
    return kind if len(factors) == 1 else f"{kind} {len(factors)}", _bounded(math.prod(factors))


def _bounded(size: float) -> float:
    return min(max(size, LEAST), LARGEST)


def _number(text: str) -> float:
    return float(text.replace(",", ""))
