"""The text around a listing: the question before it, the answer after it, and the parser of an answer.

The question is `task.question` of params.yaml, the completion is the number alone.
"""

from __future__ import annotations

import re

ANSWER = "\n\nPrice is $"  # no space after it: tokenizers would glue it to the number
NUMBER = re.compile(r"\s*\$?(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?")


def price_prompt(text: str, question: str) -> str:
    """The question, one listing, and the beginning of the answer."""
    return f"{question}\n\n{text.strip()}{ANSWER}"


def few_shot_prompt(text: str, shots: list[tuple[str, float]], question: str) -> str:
    """The question about one listing after priced examples (text, dollars)."""
    examples = [price_prompt(shot, question) + price_completion(price) for shot, price in shots]
    return "\n\n".join([*examples, price_prompt(text, question)])


def price_completion(price: float) -> str:
    """The answer: whole dollars, rounded half up, no cents and no separators."""
    return str(int(price + 0.5))


def parse_completion(text: str) -> float | None:
    """Dollars at the beginning of a completion, None where it does not begin with a price."""
    match = NUMBER.match(text)
    return float(match.group(1).replace(",", "") + (match.group(2) or "")) if match else None
