"""What a source gives to `scrape`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from components.core.schemas import Law, Record, Reject


def empty(record: type[Record]) -> pd.DataFrame:
    """A table of these records without rows, its columns typed."""
    # Python strings, not Arrow's: mlflow 3 fails on an empty table with a column of Arrow strings.
    text = pd.StringDtype("python", na_value=float("nan"))
    fields = record.model_fields.items()
    return pd.DataFrame(
        {name: pd.Series(dtype=text if field.annotation is str else "float64") for name, field in fields}
    )


@dataclass(frozen=True)
class Collected:
    """The listings of a source, its rejects, and what the report says about them."""

    rows: pd.DataFrame
    """Columns of `Listing` but `id` and `source`, which `scrape` adds, from `key` where there is one."""
    counts: dict[str, Any]
    """The source's own entry in reports/scrape.json."""
    law: pd.DataFrame = field(default_factory=lambda: empty(Law))
    """True medians of a generated source; empty for a real one."""
    rejects: pd.DataFrame = field(default_factory=lambda: empty(Reject))
    """Columns of `Reject` but `id` and `source`: pages and rows that may not be used or cannot be read."""
    notes: list[str] = field(default_factory=list)
    """Lines for a person on what went wrong without stopping the rest."""
