"""Cleaning and rules in a plain loop: the reference for the results and the speed of curation/columnar.py."""

from __future__ import annotations

from typing import Any

from components.core.params.curate import Curate
from components.core.params.task import Number
from components.curation.categories import with_category
from components.curation.cleaning import (
    clean_details,
    converted,
    currencies_of,
    cut,
    plain,
    tidy,
)
from components.curation.columnar import CLEANED
from components.curation.rules import Candidate, Rejection, first_rejection, overlong_line
from components.model.listing_text import listing_text


def clean(row: dict[str, Any], section: Curate) -> Candidate:
    """A listing with its fields cleaned, its price read, its text put together and cut."""
    title, brand, description = (plain(row[key], section) for key in ("title", "brand", "description"))
    details = clean_details(row["details"], section)
    written = tidy(row["price"])
    currencies = currencies_of(row["currency"], written)
    price = float(row["amount"]) if row["amount"] else None
    category = plain(tidy(row["category"]), section) if section.text_category else ""
    named = with_category(category, details)
    return Candidate(
        id=row["id"],
        title=title,
        brand=brand,
        category=tidy(row["category"]),
        description=description,
        details=details,
        text=cut(listing_text(title, brand, named, description), section.text_max_characters),
        written=written,
        price=converted(price, currencies, section.rates),
        currencies=currencies,
        rights=row["rights"],
        source=row["source"],
        address=row["address"],
    )


def cleaned(
    rows: list[dict[str, Any]], section: Curate, number: Number
) -> list[tuple[Candidate, Rejection | None]]:
    """Each listing, cleaned, with its rejection, None where it passes every rule."""
    return [_cleaned(row, section, number) for row in rows]


def _cleaned(row: dict[str, Any], section: Curate, number: Number) -> tuple[Candidate, Rejection | None]:
    limit = section.line_characters_max
    overlong = [name for name in CLEANED if len(row[name]) > limit]
    candidate = clean(row | {name: CLEANED[name] for name in overlong}, section)
    if overlong:
        return candidate, overlong_line(overlong[0], len(row[overlong[0]]), limit)
    return candidate, first_rejection(candidate, section, number)
