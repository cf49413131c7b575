"""What a listing weighs and measures, read from its text."""

from __future__ import annotations

import math

import numpy as np
import pytest

from components.regression.quantities import KINDS, LARGEST, commonest, logarithms, quantities
from tests.support.timing import least_seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Item Weight: 12 Ounces.", {"weight": 12 * 28.35, "item weight": 12 * 28.35}),
        ("Item Weight: 2.5 lbs. Color: red.", {"weight": 2.5 * 453.6, "item weight": 2.5 * 453.6}),
        ("A 64GB phone and a 2 TB disk", {"memory": 2000.0}),
        ('Frame of 4 x 6 inches or 5" wide', {"length 2": 4 * 6 * 2.54**2, "length": 5 * 2.54}),
        ("Size: 10 x 4 x 2 cm.", {"length 3": 80.0, "size": 80.0}),
        ('Size: 10"L x 4"W x 2"H.', {"length 3": 80 * 2.54**3, "size": 80 * 2.54**3}),
        ("Rank: 1,655,008. Model Year: 2015.", {"rank": 1655008.0, "model year": 2015.0}),
        ("Title\nCapacity: about 3 of 5. Tray: 7-Cup", {"capacity": 3.0, "tray": 7.0}),
        ("Battery of 5,000 mAh at 3.7V", {"charge": 5000.0, "voltage": 3.7}),
        ("Pack of 3, a 12-pack", {"pieces": 12.0}),
        ("Speed: 0 rpm", {"rotation": 0.001, "speed": 0.001}),
        ("No number: none. 1.5.2 and MX-500g2 and H264 are none either", {}),
        ("", {}),
    ],
)
def test_quantities_are_read_in_one_unit_for_each_kind(text: str, expected: dict[str, float]) -> None:
    assert quantities(text) == pytest.approx(expected)


def test_a_pound_is_sixteen_ounces_and_a_foot_twelve_inches() -> None:
    for many, one in (("16 oz", "1 lb"), ("12 in", "1 ft"), ("1000 g", "1 kg"), ("1000 mW", "1000 mW")):
        assert quantities(many) == pytest.approx(quantities(one), rel=1e-3)


def test_a_serial_number_of_four_hundred_digits_stays_finite() -> None:
    assert quantities(f"Serial: {'9' * 400}.") == {"serial": LARGEST}
    assert np.isfinite(logarithms([f"Serial: {'9' * 400}."], ["serial"])).all()


def test_the_table_has_a_column_for_each_name_and_gaps_where_none_is_named() -> None:
    texts = ["Weight: 1 kg.", "Weight: 100 g. Power: 5 W.", "nothing"]
    names = commonest(texts, 2)
    assert names == ["weight", "power"]
    expected = [[math.log(1000), math.nan], [math.log(100), math.log(5)], [math.nan, math.nan]]
    lengths = [[math.log(len(text))] for text in texts]
    np.testing.assert_allclose(logarithms(texts, names), np.hstack([lengths, expected]))
    assert logarithms([], names).shape == (0, 3)


def test_every_unit_of_every_kind_is_read() -> None:
    for kind, units in KINDS.items():
        for pattern, size in units.items():
            plainest = pattern.split("|")[0].replace("\\.?", "").replace(" ?", " ").replace("s?", "")
            assert quantities(f"of 7 {plainest} or so") == {kind: pytest.approx(7 * size)}, plainest


@pytest.mark.parametrize("piece", ["1,", "1.", "5 x ", "Ab: ", "1 x 2 in ", '9"', "12 ounces. Weight: "])
def test_the_time_grows_with_the_text_and_not_with_its_square(piece: str) -> None:
    def seconds(characters: int) -> float:
        text = piece * (characters // len(piece))
        return least_seconds(lambda: quantities(text))

    assert seconds(80_000) < 3.5 * seconds(40_000) + 0.02
