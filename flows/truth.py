"""What came true: a file of it, joined to the requests that the service has kept.

    python -m flows.truth sales.csv

Columns `key` (X-Request-Key of the request), `value`, `time` and perhaps `row`; what cannot be used is in
reports/truth/rejects.csv, with the reason. The same file again changes nothing.
"""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.monitoring.truth import answered
from components.monitoring.truth_file import Intake, Rejected, take_in
from components.serving.request_store import now, opened
from components.tasks import load_task

REJECTS = Path("reports/truth/rejects.csv")
WIDTH = 110


def truth(file: str) -> tuple[Intake, pd.DataFrame]:
    """Keep what a file says came true; (what became of its rows, all that was answered and came true).

    Raises PricewrightError, and keeps nothing, where the file or the store cannot be used.
    """
    if not file:
        raise PricewrightError("which file? make truth FILE=sales.csv, with the columns key, value and time")
    params, task = load_params(), load_task()
    with opened(params.serve.store) as engine:
        intake = take_in(Path(file), engine, params.scrape.files.unpacked_bytes_max, now(), task)
        rows = answered(engine, now() - timedelta(days=params.serve.keep_days), task)
    REJECTS.parent.mkdir(parents=True, exist_ok=True)
    rejects = pd.DataFrame(intake.rejects, columns=list(Rejected._fields))
    rejects.to_csv(REJECTS, index=False)
    return intake, rows


def show(intake: Intake, rows: pd.DataFrame, console: Console) -> None:
    """Print what became of the rows of the file, and how many requests have a truth now."""
    table = Table("rows", "", box=None, pad_edge=False, show_header=False)
    table.columns[0].justify = "right"
    table.add_row(f"{intake.added:,}", "are kept")
    table.add_row(f"{intake.changed:,}", "of these say otherwise than another: the later time holds")
    table.add_row(f"{intake.repeated:,}", "were kept before")
    first = {reject.rule: reject for reject in reversed(intake.rejects)}
    for rule, count in Counter(reject.rule for reject in intake.rejects).most_common():
        example = f"{rule}: row {first[rule].line}: {first[rule].reason}"
        table.add_row(f"{count:,}", escape(f"rejected, {example}"))
    console.print(table)
    if intake.rejects:
        console.print(f"All that are rejected: {REJECTS}")
    console.print(f"Of {len(rows):,} rows that were answered, {rows['value'].count():,} have a truth now.")


def main() -> None:
    """Take a file in; exit code 1 with one line where it cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m flows.truth")
    parser.add_argument("file", help="CSV, JSONL, Parquet or Excel with the columns key, value and time")
    arguments = parser.parse_args()
    try:
        show(*truth(arguments.file), Console(width=WIDTH, highlight=False))
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
