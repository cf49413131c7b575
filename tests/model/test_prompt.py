"""The text of a prompt, of its answer, and the price that is read from an answer."""

from __future__ import annotations

import pytest

from components.model.prompt import few_shot_prompt, parse_number, prompt_of
from tests.support.project import TASK


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("123", 123.0),
        (" 9 or so", 9.0),
        ("$1,299.50", 1299.5),
        ("12345", 12345.0),
        ("about 5", None),
        ("", None),
        ("-4", -4.0),
        ("- 4", None),
    ],
)
def test_a_completion_is_read_or_is_unparsed_but_never_zero(text: str, price: float | None) -> None:
    assert parse_number(text) == price


@pytest.mark.parametrize(("price", "text"), [(1.4, "1"), (1.5, "2"), (2.5, "3"), (998.99, "999")])
def test_a_price_is_rounded_half_up(price: float, text: str) -> None:
    assert TASK.completion(price) == text


def test_every_completion_parses_to_its_price() -> None:
    assert all(parse_number(TASK.completion(price)) == price for price in range(1000))


def test_no_prompt_ends_in_a_space() -> None:
    assert not prompt_of("a chair ", TASK).endswith(" ")


def test_a_few_shot_prompt_holds_its_examples_and_ends_in_the_question() -> None:
    text = few_shot_prompt(
        "a lamp", [("a chair", TASK.completion(40.2)), ("a desk", TASK.completion(99.0))], TASK
    )
    assert "a chair\n\nPrice is $40\n\n" in text
    assert text.endswith(prompt_of("a lamp", TASK))
