"""Who promoted what, when, by which figures, and whether the records of the decisions still hold.

    python -m components.promotion.history

A decision stands in the log (decision_log.py) and is kept twice more, as a tag of its version and as
decision.json of a run of its own, and each holds the hash of the one before (aliases.py). A record that was
changed, is missing or was written by hand is named, and so is an alias that does not stand where the
decisions have put it; the exit code is 1 then.
"""

from __future__ import annotations

import json

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.core.registry import Version
from components.promotion import aliases, anchor, decision_log
from components.promotion.decision_log import Entry, Record
from components.promotion.gate import in_unit, shown

Copy = tuple[str, Record]
"""Where a record is kept, and the record."""
UNKNOWN, LOG = "unknown", "entry in the log"
CUT = (
    "decision {} is in the log, and the chain ends with {}: its records were cut off, or a promotion was "
    "interrupted, which the next one completes"
)
WIDTH = 110


def history(model_name: str) -> tuple[list[Record], list[str]]:
    """(the decisions about a model, the oldest first; a line for each fault of their records and aliases).

    Of a record whose copies differ the one is given that fits the chain. The tags of a deleted version are
    gone with it; that is no fault while its runs are there.
    """
    versions = registry.versions(model_name)
    decided = decision_log.entries(model_name)
    tags, faults = _tags(versions)
    logged = filter(decision_log.whole, tracking.logged_decisions(model_name))
    copies = [("tag", record) for record in tags] + [("decision.json", record) for record in logged]
    head = aliases.head(model_name)
    records, broken = _chain(copies, decided, head, {version.number for version in versions})
    end = max([head[0], *(entry.number for entry in decided)])
    outside = {record["id"]: record for _, record in copies if not 1 <= record["number"] <= end}
    faults += broken
    faults += [f"the record of {record['when']} is in no chain" for record in outside.values()]
    return records, faults + aliases.faults(model_name) + anchor.faults(model_name, decided)


def _chain(
    copies: list[Copy], decided: list[Entry], head: tuple[int, str], versions: set[str]
) -> tuple[list[Record], list[str]]:
    """(the records, the oldest first; a line for each that is missing, changed, cut off or does not count).

    The newest is looked up first: each holds the hash of the one before.
    """
    (count, last), log = head, {entry.number: entry for entry in decided}
    faults = [CUT.format(max(log), count)] if log and max(log) > count else []
    records, expected = [], UNKNOWN
    for number in range(max([count, *log]), 0, -1):
        entry = log.get(number, Entry(number))
        own = [copy for copy in copies if copy[1]["number"] == number]
        own += [(LOG, entry.record)] if entry.record else []
        expected = last if number == count and expected == UNKNOWN else expected
        record, lines = _compared(own, expected)
        if record is None:
            lines, expected = [] if entry.fault else [" is missing"], UNKNOWN  # it alone knew the hash before
        else:
            records.append(record)
            expected = record["before"]
            wanted = {LOG} if log and number >= min(log) else set()
            if number <= count and not entry.fault:
                wanted |= {"decision.json"} | ({"tag"} if record["version"] in versions else set())
            lines += [f": its {where} is gone" for where in sorted(wanted - {where for where, _ in own})]
        lines += [f" moves nothing: {entry.fault}"] if entry.fault else []
        faults += [f"decision {number}{line}" for line in lines]
    return records[::-1], faults


def _compared(own: list[Copy], expected: str) -> tuple[Record | None, list[str]]:
    """(the copy of a record that has the hash, else the first; a line for each that has another one)."""
    hashes = [decision_log.digest(record) for _, record in own]
    if expected == UNKNOWN and len(set(hashes)) == 1:
        expected = hashes[0]  # all copies agree; nothing else is left to tell by
    right = [record for (_, record), own_hash in zip(own, hashes, strict=True) if own_hash == expected]
    pairs = zip(own, hashes, strict=True)
    changed = [f": its {where} was changed since" for (where, _), own_hash in pairs if own_hash != expected]
    return next(iter(right or [record for _, record in own]), None), changed


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
                if decision_log.whole(entry):
                    records.append(entry)
                else:
                    faults.append(f"the tag {name} of version {version.number} cannot be read")
    return records, faults


def show(records: list[Record], faults: list[str], console: Console) -> None:
    """The decisions as a table, then the faults."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "when", "by", "version", "verdict", "against", "better by", "rows"):
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
    if "unit" not in entry:  # a record of before there were units
        return f"{entry['difference']:+.2f} ({entry['low']:+.2f} to {entry['high']:+.2f})"
    unit = entry["unit"]
    ends = f"{shown(entry['low'], unit)} to {shown(entry['high'], unit)}"
    return f"{in_unit(entry['difference'], unit)} ({ends})"


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
