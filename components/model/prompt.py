"""The text around a listing: the question before it, the beginning of the answer after it.

Both are values of section `task` of params.yaml; the completion is the answer alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

BREAK = "\n\n"
"""Between the parts of a prompt. What follows the last is the beginning of the answer; no space stands after
that: tokenizers would glue it to the answer."""
NUMBER = re.compile(r"\s*\$?(-?(?:\d{1,3}(?:,\d{3})+|\d+))(\.\d+)?")


class Wording(Protocol):
    """What stands around every listing."""

    @property
    def question(self) -> str:
        """Before it."""

    @property
    def answer(self) -> str:
        """After it: how an answer begins."""


class Asked(Wording, Protocol):
    """A question with a finite set of answers."""

    @property
    def tokens(self) -> int:
        """Longest prompt."""

    @property
    def spelled(self) -> tuple[str, ...]:
        """Every answer as it is written."""


def prompt_of(text: str, wording: Wording) -> str:
    """The question, one listing, and the beginning of the answer."""
    return BREAK.join([wording.question, text.strip(), wording.answer])


def few_shot_prompt(text: str, shots: Sequence[tuple[str, str]], wording: Wording) -> str:
    """The question about one listing after examples with their completions."""
    examples = [prompt_of(shot, wording) + completion for shot, completion in shots]
    return BREAK.join([*examples, prompt_of(text, wording)])


def parse_number(completion: str) -> float | None:
    """The number at the beginning of a completion, None where it does not begin with one."""
    match = NUMBER.match(completion)
    return float(match.group(1).replace(",", "") + (match.group(2) or "")) if match else None
