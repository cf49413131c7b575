"""The category of a listing: the first of its levels, and the category in the text that a model reads, put
there, and taken out where a check must not see it.
"""

from __future__ import annotations

import re

NAME = "Category"
"""Of the category among a listing's details."""
DETAIL = re.compile(rf"(?:^|(?<=\n)|(?<=\. )){NAME}: [^\n]*?\.(?= |\n|$)")

LEVELS = re.compile(r"\s*[>›»|]\s*| / ")
"""Between the levels of a path, as shops write it: Tools > Drills, Tools / Drills."""


def top_level(category: str) -> str:
    """The first level of a category that is a path, else the category."""
    return next((level for level in LEVELS.split(category) if level), "").strip()


def with_category(category: str, details: dict[str, str]) -> dict[str, str]:
    """The details with the category before them, where it is not empty and no detail has its name."""
    return {NAME: category} | details if category and NAME not in details else details


def without_category(text: str) -> str:
    """The text of a listing without the details that name its category, whoever wrote them."""
    return DETAIL.sub("", text)
