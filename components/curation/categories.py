"""The category in the text that a model reads: put there, and taken out where a check must not see it."""

from __future__ import annotations

NAME = "Category"
"""Of the category among a listing's details."""


def with_category(category: str, details: dict[str, str]) -> dict[str, str]:
    """The details with the category before them, where it is not empty and no detail has its name."""
    return {NAME: category} | details if category else details


def without_category(text: str, category: str) -> str:
    """The text of a listing without the detail that names its category."""
    return text.replace(f"{NAME}: {category}.", "", 1)
