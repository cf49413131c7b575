"""Plain features of a listing."""

from __future__ import annotations

import json

from components.regression.features import specifications


def test_a_specification_is_the_first_number_in_its_value() -> None:
    details = {"Memory": "16 GB of 32", "Rank": "1,655,008", "Size": '7.5"', "Color": "red", "Year": 2015}
    assert specifications(json.dumps(details)) == {
        "Memory": 16.0,
        "Rank": 1655008.0,
        "Size": 7.5,
        "Year": 2015.0,
    }
    assert specifications("{}") == specifications("") == {}
