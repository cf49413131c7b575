"""Who promoted what, when, by which figures, and whether the records of the decisions still hold.

    python -m components.promotion.history

A decision is kept twice, as a tag of its version and as decision.json of a run of its own, and each holds the
hash of the one before (aliases.py). A record that was changed, or is missing, is named; the exit
code is 1 then.
"""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.core.registry import Version
from components.promotion import aliases

Record = dict[str, Any]
UNKNOWN = "unknown"
WIDTH = 110


def history(model_name: str) -> tuple[list[Record], list[str]]:
    """(the decisions about a model, the oldest first; a line for each fault of their records).

    Of a record whose two copies differ the one is given that fits the chain. The tags of a deleted version
    are gone with it; that is no fault while its runs are there.
    """
    versions = registry.versions(model_name)
    tags, faults = _tags(versions)
    copies = [("tag", entry) for entry in tags]
    copies += [("decision.json", entry) for entry in tracking.logged_decisions(model_name) if _whole(entry)]
    numbers = {version.number for version in versions}
    count, expected = aliases.head(model_name)
    records: list[Record] = []
    for number in range(count, 0, -1):
        own = [(where, entry) for where, entry in copies if entry["number"] == number]
        if expected == UNKNOWN and len({aliases.digest(entry) for _, entry in own}) == 1:
            expected = aliases.digest(own[0][1])  # both copies agree; nothing else is left to tell by
        right = [(where, entry) for where, entry in own if aliases.digest(entry) == expected]
        label = f"decision {number}"
        if not own:
            faults.append(f"{label} is missing")
            expected = UNKNOWN  # only the missing record knew the hash of the one before
            continue
        changed = [where for where, entry in own if (where, entry) not in right]
        faults += [f"{label}: its {where} was changed since" for where in changed]
        entry = (right or own)[0][1]
        kept = {where for where, _ in own}
        wanted = {"decision.json"} | ({"tag"} if entry["version"] in numbers else set())
        faults += [f"{label}: its {where} is gone" for where in sorted(wanted - kept)]
        records.append(entry)
        expected = entry["before"]
    chained = {entry["number"] for entry in records}
    outside = {entry["id"]: entry for _, entry in copies if entry["number"] not in chained}
    faults += [f"the record of {entry['when']} is in no chain" for entry in outside.values()]
    return records[::-1], faults


def _tags(versions: list[Version]) -> tuple[list[Record], list[str]]:
    """The records in the versions' tags, and a line for each that cannot be read."""
    records, faults = [], []
    for version in versions:
        for name, text in version.tags.items():
            if name.startswith(aliases.DECISION):
                try:
                    entry = json.loads(text)
                except ValueError:
                    entry = None
                if _whole(entry):
                    records.append(entry)
                else:
                    faults.append(f"the tag {name} of version {version.number} cannot be read")
    return records, faults


def _whole(entry: object) -> bool:
    """Whether it is a record at all."""
    return isinstance(entry, dict) and {"id", "number", "before", "when", "version"} <= set(entry)


def show(records: list[Record], faults: list[str], console: Console) -> None:
    """The decisions as a table, then the faults."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "when", "by", "version", "verdict", "against", "better by (dollars)", "rows"):
        table.add_column(column, overflow="fold")
    for entry in records:
        table.add_row(
            str(entry["number"]),
            entry["when"].replace("T", " ").removesuffix("+00:00"),
            escape(entry.get("approved_by") or entry["by"]),
            entry["version"],
            "declined" if "declined" in entry else entry["verdict"],
            entry.get("against") or f"version {entry['champion'] or '-'}",
            _difference(entry),
            str(entry.get("rows", "")),
        )
    console.print(table if records else "Nothing is decided yet: `make promote` decides on the challenger.")
    for fault in faults:
        console.print(f"[red]{escape(fault)}[/]")


def _difference(entry: Record) -> str:
    if entry.get("difference") is None:
        return ""
    return f"{entry['difference']:+.2f} ({entry['low']:+.2f} to {entry['high']:+.2f})"


def main() -> None:
    """Show the decisions; exit code 1 where a record does not hold."""
    try:
        name = load_params().register.model_name
        with registry.connected():
            records, faults = history(name)
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None
    show(records, faults, Console(width=WIDTH, highlight=False))
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
