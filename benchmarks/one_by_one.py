"""Cleaning and rules in a plain loop: the reference for the results and the speed of curation/columnar.py."""

from __future__ import annotations

import json
from typing import Any

from components.core.params.curate import Curate
from components.core.params.task import Task
from components.curation.categories import top_level, with_category
from components.curation.cleaning import (
    clean_details,
    converted,
    currencies_of,
    cut,
    on_one_line,
    plain,
    tidy,
)
from components.curation.columnar import CLEANED
from components.curation.rules import Candidate, Rejection, first_rejection, overlong_line
from components.model.listing_text import listing_text


def clean(row: dict[str, Any], section: Curate, task: Task, names: list[str]) -> Candidate:
    """A listing with its fields cleaned, its target read, its text put together and cut."""
    written, target, currencies = target_of(row, section, task, names)
    if task.kind == "label":
        section = section.model_copy(
            update={"details_dropped": [*section.details_dropped, task.label.column]}
        )
    title, brand, description = (plain(row[key], section) for key in ("title", "brand", "description"))
    details = clean_details(row["details"], section)
    category = plain(tidy(row["category"]), section) if section.text_category else ""
    named = with_category(category, details)
    shown = "" if task.kind == "label" and task.label.column == "brand" else brand
    return Candidate(
        id=row["id"],
        title=title,
        brand=brand,
        category=tidy(row["category"]),
        description=description,
        details=details,
        text=cut(listing_text(title, shown, named, description), section.text_max_characters),
        written=written,
        target=target,
        currencies=currencies,
        rights=row["rights"],
        source=row["source"],
        address=row["address"],
    )


def target_of(
    row: dict[str, Any], section: Curate, task: Task, names: list[str]
) -> tuple[str, float | None, set[str]]:
    """What is predicted as written and as a number, and the currencies that the listing names."""
    if task.kind == "label":
        details = {
            plain(name, section).casefold(): value for name, value in json.loads(row["details"]).items()
        }
        columns = {"category": top_level(tidy(row["category"])), "brand": tidy(row["brand"])}
        column = task.label.column
        label = columns[column] if column in columns else tidy(on_one_line(details.get(column.casefold())))
        return label, float(names.index(label)) if label in names else None, set()
    written = tidy(row["price"])
    currencies = currencies_of(row["currency"], written)
    price = float(row["amount"]) if row["amount"] else None
    return written, converted(price, currencies, section.rates), currencies


def cleaned(
    rows: list[dict[str, Any]], section: Curate, task: Task, names: list[str]
) -> list[tuple[Candidate, Rejection | None]]:
    """Each listing, cleaned, with its rejection, None where it passes every rule."""
    return [_cleaned(row, section, task, names) for row in rows]


def _cleaned(
    row: dict[str, Any], section: Curate, task: Task, names: list[str]
) -> tuple[Candidate, Rejection | None]:
    limit = section.line_characters_max
    overlong = [name for name in CLEANED if len(row[name]) > limit]
    candidate = clean(row | {name: CLEANED[name] for name in overlong}, section, task, names)
    if overlong:
        return candidate, overlong_line(overlong[0], len(row[overlong[0]]), limit)
    return candidate, first_rejection(candidate, section, task)
