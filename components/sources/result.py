"""What a source gives to `scrape`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from components.core.schemas import Law, Record, Reject


def empty(record: type[Record]) -> pd.DataFrame:
    """A table of these records without rows, its columns typed."""
    # Not the usual Arrow text: mlflow 3 fails on a table without rows that has a column of it.
    text = pd.StringDtype("python", na_value=float("nan"))
    fields = record.model_fields.items()
    return pd.DataFrame(
        {name: pd.Series(dtype=text if field.annotation is str else "float64") for name, field in fields}
    )


@dataclass(frozen=True)
class Collected:
    """The rows of a source, and what there is to say of them."""

    rows: pd.DataFrame
    """Listing without `id` and `source`."""
    counts: dict[str, Any]
    """For the report."""
    law: pd.DataFrame = field(default_factory=lambda: empty(Law))
    rejects: pd.DataFrame = field(default_factory=lambda: empty(Reject))
    """Reject without `id` and `source`: pages and rows that may not or cannot be taken."""
    notes: list[str] = field(default_factory=list)
    """Lines for a person on what went wrong and did not stop the rest."""
