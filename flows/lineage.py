"""Shows the lineage of a registered version as a table, or the page that one of its rows came from.

    python -m flows.lineage [VERSION] [--row ITEM]

The exit code is 1 where something is gone or altered.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.core import registry
from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.core.registry import CHALLENGER, CHAMPION
from components.provenance import pages
from components.provenance.lineage import Lineage, State, Step

COLOURS: dict[State, str] = {"holds": "green", "altered": "red", "gone": "red", "not kept": "yellow"}
WIDTH = 110
PAGE_SHOWN = 4000
"""Characters of a page that are printed."""
ADVICE = (
    "gone: `dvc fetch` it from a remote that has it, or run its commit anew. "
    "altered: delete the named object and fetch it again."
)


def show(steps: list[Step], console: Console) -> None:
    """Print the steps as a table; unchanged code is summed up in one line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "what", "state", "where", ""):
        table.add_column(column, overflow="fold")
    kind = ""
    for step in _with_code_summed_up(steps):
        colour = COLOURS[step.state]
        cells = (step.kind if step.kind != kind else "", escape(step.name), f"[{colour}]{step.state}[/]")
        table.add_row(*cells, step.where, escape(step.note))
        kind = step.kind
    console.print(table)
    faults = [step for step in steps if step.state in ("gone", "altered")]
    console.print()
    console.print(f"{len(faults)} of {len(steps)} steps do not hold." if faults else "Everything holds.")
    if faults:
        console.print(ADVICE)


def _with_code_summed_up(steps: list[Step]) -> list[Step]:
    code = [step for step in steps if step.kind == "code" and step.state == "holds"]
    if not code:
        return steps
    where = ", ".join(sorted({step.where for step in code}))
    first = steps.index(code[0])
    summary = Step("code", f"{len(code)} files and folders", "holds", where, "by the hashes of dvc.lock")
    return [*steps[:first], summary, *(step for step in steps[first:] if step not in code)]


def show_row(lineage: Lineage, item: str, console: Console) -> bool:
    """Print a row with its listing and page. True where the page can be fetched and is unchanged."""
    row, listing, page = lineage.row(item)
    if lineage.params.get("task", {}).get("kind") == "label":
        row["target"] = lineage.names()[int(row["target"])]
    table = Table(box=None, pad_edge=False, show_header=False)
    for name in ("split", "title", "target", "text"):
        table.add_row(f"row {name}", escape(str(row[name])))
    for name in ("source", "address", "price", "found_in", "page_hash", "rights"):
        if name in listing:
            table.add_row(f"listing {name}", escape(str(listing[name])))
    console.print(table)
    console.print()
    if page is None:
        console.print("The page is gone; its hash is what is kept.")
        return False
    unchanged = pages.is_unchanged(page, listing["page_hash"])
    console.print("The page, as it was scraped:" if unchanged else "The page is NOT what was scraped:")
    text = page.decode("utf-8", errors="replace")
    console.print(escape(text[:PAGE_SHOWN]))
    if len(text) > PAGE_SHOWN:
        console.print(f"… and {len(text) - PAGE_SHOWN} characters more")
    return unchanged


def main() -> None:
    """Show the lineage of a version, or the page of one of its rows."""
    parser = argparse.ArgumentParser(prog="python -m flows.lineage")
    parser.add_argument("version", nargs="?", help="by default the champion, else the challenger")
    parser.add_argument("--row", help="id of a curated row, whose page is shown")
    arguments = parser.parse_args()
    console = Console(width=WIDTH, highlight=False)
    try:
        name = load_params().register.model_name
        with registry.connected():
            aliases = registry.aliases(name)
            version = arguments.version or aliases.get(CHAMPION) or aliases.get(CHALLENGER)
            if version is None:
                raise PricewrightError(f"{name} has no version yet: `make run` registers one")
            lineage = Lineage(registry.open_version(name, version))
            if arguments.row:
                intact = show_row(lineage, arguments.row, console)
            else:
                steps = lineage.steps()
                show(steps, console)
                intact = all(step.state in ("holds", "not kept") for step in steps)
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None
    raise SystemExit(0 if intact else 1)


if __name__ == "__main__":
    main()
