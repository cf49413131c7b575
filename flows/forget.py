"""Takes a listing out of what is collected, for good, and names what still holds it.

    python -m flows.forget ADDRESS

ADDRESS is the listing's, or its id, as the columns of artifacts/scrape/listings.parquet have them. Nothing is
removed but its pages in the store of a crawl, its id in the intakes of the gate and the requests of its text
in the store of the service: what else holds it is named with the command that removes it.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.core import artifacts, intakes, registry
from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.core.params.scrape import Scrape
from components.core.registry import CHAMPION
from components.provenance.erasure import BLOCK_LIST, Erasure, Holder, forget
from flows.lock import only_run

WIDTH = 110


def show(erasure: Erasure, section: Scrape, console: Console) -> None:
    """Print what was done and what still holds the listing."""
    listed = erasure.listed
    what = " ".join(filter(None, [listed.title, listed.address and f"({listed.address})"])) or "The listing"
    verb = "is on" if erasure.added else "was already on"
    console.print(f"{escape(what)} {verb} {BLOCK_LIST} as {listed.id}: `scrape` will reject it as forgotten.")
    if erasure.pages.own:
        console.print(f"Removed from {section.shop.store}:")
        _lines([*erasure.pages.own], console)
    if erasure.pages.mentions:
        console.print("Not removed: pages of the store that name its address (a later crawl replaces them)")
        _lines(erasure.pages.mentions, console)
    if erasure.intake:
        console.print(f"Removed from {intakes.FILE}: its id, of intake {erasure.intake} of the gate.")
    if erasure.requests.requests:
        store, requests, truths, _ = erasure.requests
        console.print(f"Removed from {store}: {requests:,} requests of its text, {truths:,} truths.")
    if listed.source == "files":
        console.print(f"The file is yours and was not edited; it has the row at {escape(listed.address)}.")
        if section.files.columns.id is None:
            console.print(
                "Without scrape.files.columns.id the row is known by its content: with another price or word "
                "it is another listing. Take it out of the file, or name a column of keys."
            )
    if erasure.same_product:
        console.print("Not removed: other listings of the same product; `make forget` takes each out")
        _lines([f"{kin.address} ({kin.place})" for kin in erasure.same_product], console)
    show_holders(erasure, console)


def show_holders(erasure: Erasure, console: Console) -> None:
    """Print the versions, objects and files of runs that hold the listing."""
    if erasure.holders:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("version", "aliases", "had learned from it", "splits", "files that hold it"):
            table.add_column(column, overflow="fold")
        for holder in erasure.holders:
            learned = "yes" if holder.learned else "nobody can tell" if holder.unknown else "no"
            cells = (str(holder.version), ", ".join(holder.aliases), learned, ", ".join(holder.splits))
            table.add_row(*cells, escape(", ".join(holder.files) or holder.unknown))
        console.print(table)
    if erasure.objects:
        console.print("Objects of DVC that hold it:")
        places = [
            (entry.path, f"{entry.name} in the {' and the '.join(entry.places)}") for entry in erasure.objects
        ]
        _lines([f"{_relative(path)} ({place.strip()})" for path, place in places], console)
    if erasure.run_files:
        console.print("Files of MLflow's runs that hold it, by id, address or title:")
        _lines([f"{file.path} of run {file.run} ({file.name})" for file in erasure.run_files], console)


def steps(erasure: Erasure) -> list[tuple[str, list[str]]]:
    """What is left to do, in order: why, and the commands of a shell."""
    learned = [holder for holder in erasure.holders if holder.learned]
    committed = f"{BLOCK_LIST} {intakes.FILE}"
    todo = [
        (
            "So that it stays out of every clone",
            [f"git add {committed} && git commit -m 'Forget a listing' {committed}"],
        )
    ]
    todo.append(("So that the tables lose it, and a version is trained without it", ["make run"]))
    if any(CHAMPION in holder.aliases for holder in learned):
        todo.append(("So that the champion is one that never read it", ["make promote"]))
    removal = [command for holder in erasure.holders for command in removed(holder)]
    runs = sorted({file.run for file in erasure.run_files})
    removal += artifacts.run_removal(runs) if runs else []
    if removal:
        why = "Then, for good, the versions and runs that hold it (look at each before)"
        todo.append((why, [*artifacts.store_setting(), *removal]))
    if erasure.objects:
        cloud = " --cloud" if any(len(entry.places) > 1 for entry in erasure.objects) else ""
        why = "And what DVC keeps of earlier runs, all of it (--all-branches spares other branches)"
        todo.append((why, [f"dvc gc --workspace{cloud}"]))
    return todo


def removed(holder: Holder) -> list[str]:
    """The commands that remove a version; none where nobody can tell whether it holds the listing."""
    return artifacts.version_removal(holder.version) if holder.splits or holder.files else []


def _lines(lines: list[str], console: Console) -> None:
    for line in lines:
        console.print(f"  {escape(line)}", soft_wrap=True)


def _relative(path: Path) -> str:
    return os.path.relpath(path)


def main() -> None:
    """Forget the listing of an address or id, and say what is left to do."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.forget",
        description=f"Put a listing on {BLOCK_LIST}, remove its pages from the store of a crawl, its id from "
        f"{intakes.FILE} and the requests of its text from serve.store, and name what still holds it: "
        "versions, objects of DVC, files of MLflow, with the commands that remove them.",
    )
    parser.add_argument("address", help="of the listing, or its id, as in artifacts/scrape/listings.parquet")
    arguments = parser.parse_args()
    console = Console(width=WIDTH, highlight=False)
    try:
        if not arguments.address:
            raise PricewrightError("which listing? make forget ADDRESS=https://shop.example/p/1")
        params = load_params()
        with only_run(wait=False), registry.connected():
            erasure = forget(arguments.address, params.register.model_name, params.scrape, params.serve.store)
            show(erasure, params.scrape, console)
            for number, (why, commands) in enumerate(steps(erasure), start=1):
                console.print(f"\n{number}. {why}:")
                _lines(commands, console)
        if erasure.requests.fault:
            raise PricewrightError(
                f"{erasure.requests.fault}. The rest is done, yet requests of its text may stand there: "
                "run it again once the store answers"
            )
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
