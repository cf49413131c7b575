"""How a column writes its decimals, decided by all of its values.

`1.299` is 1299 beside `24,99` and 1.299 beside `24.99`; `58 45` beside `59` is 58.45: the export has lost its
points.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from decimal import Decimal

from components.core.errors import PricewrightError
from components.sources.extraction.money import DECIMALS, readings

PAIRS = list(itertools.combinations(DECIMALS, 2))


def decimal_sign(numbers: Iterable[str], place: str) -> str | None:
    """The entry of DECIMALS by which all numbers of a column are read.

    None where no sign fits all numbers, yet each can be read in one way alone. `numbers` are those of
    `money.parse`; those that no sign fits do not count. Raises PricewrightError, which names the `place`,
    where the column leaves open what a number is.
    """
    misfits: dict[str, str] = {}
    doubtful: dict[tuple[str, str], str] = {}
    lost = ""
    for number in numbers:
        if number.isdecimal():
            continue
        values = readings(number)
        if not values:
            continue
        misfits |= {sign: number for sign in DECIMALS if sign not in values and sign not in misfits}
        doubtful |= {pair: number for pair in PAIRS if pair not in doubtful and _differ(values, pair)}
        lost = number if values.keys() == {" "} else lost
    fitting = [sign for sign in DECIMALS if sign not in misfits]
    for pair, number in doubtful.items():
        if not fitting or set(pair) <= set(fitting):
            raise _undecided(place, number)
    if not fitting and lost:
        raise _undecided(place, lost)
    return fitting[0] if fitting else None


def _differ(values: dict[str, Decimal], pair: tuple[str, str]) -> bool:
    return pair[0] in values and pair[1] in values and values[pair[0]] != values[pair[1]]


def _undecided(place: str, number: str) -> PricewrightError:
    values = {value: sign for sign, value in reversed(readings(number).items())}
    meanings = " or ".join(f"{value:f} ({sign!r})" for value, sign in values.items())
    return PricewrightError(
        f"{place}: {number!r} may be {meanings}, and the other prices of the column do not decide: "
        "set scrape.files.columns.decimal to the sign in front of the decimals, '.', ',' or ' '"
    )


def read_number(number: str, sign: str | None) -> Decimal | None:
    """A number by the sign of its column, or in the only way that there is; None where it does not fit."""
    values = readings(number)
    if sign is not None:
        return values.get(sign)
    return next(iter(values.values())) if len(set(values.values())) == 1 else None
