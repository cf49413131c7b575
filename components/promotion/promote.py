"""Promote and roll back: the decision (decision.py), its record, and the move of the aliases.

Writes nothing but the registry and, where asked for, the decision as JSON. flows/promote.py runs it as a
process of its own:

    python -m components.promotion.promote promote [--version 3] [--unseen] [--hold] [--out decision.json]
    python -m components.promotion.promote rollback [--version 3] [--out decision.json]
    python -m components.promotion.promote settle decision.json (--approved-by NAME | --declined WHY)

Whatever is refused or goes wrong, the champion stays.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from components.core import registry
from components.core.errors import PricewrightError
from components.core.params.file import load_params
from components.promotion import aliases
from components.promotion.aliases import CHAMPION, PREVIOUS
from components.promotion.decision import propose
from components.promotion.trial import ask

PROBE = "Wireless headphones with noise cancelling"


def settle(record: dict[str, Any]) -> dict[str, Any]:
    """Keep the record and, where it says promoted, move the aliases; the record as it is kept.

    Raises PricewrightError where the champion is another one than it was when the record was made: of two
    promotions at once only the first can win.
    """
    name = record["model"]
    with aliases.locked(name):
        champion = registry.aliases(name).get(CHAMPION)
        promoted = record["verdict"] == "promoted" and "declined" not in record
        if promoted and champion != record["champion"]:
            raise PricewrightError(
                f"the {CHAMPION} of {name} is version {champion} now; it was {record['champion'] or 'none'} "
                f"when version {record['version']} was judged. Promote again, to judge it against the new one"
            )
        moves = {CHAMPION: record["version"]} if promoted else {}
        if moves and champion is not None:
            moves = {PREVIOUS: champion, **moves}
        return aliases.commit(name, record, moves)


def rollback(model_name: str, version: str | None) -> dict[str, Any]:
    """Make `version` (by default the `previous` one) champion again, once it has shown that it answers.

    Raises PricewrightError where it is none, is the champion already, or does not load and answer.
    """
    named = registry.aliases(model_name)
    wanted = version or named.get(PREVIOUS)
    if wanted is None:
        raise PricewrightError(
            f"{model_name} has no {PREVIOUS} version to go back to: name one, `make rollback VERSION=n`"
        )
    if wanted == named.get(CHAMPION):
        raise PricewrightError(f"{model_name} version {wanted} is the {CHAMPION} already")
    ask(model_name, wanted, pd.DataFrame({"text": [PROBE]}))
    with aliases.locked(model_name):
        champion = registry.aliases(model_name).get(CHAMPION)
        record = aliases.entry("rollback", model_name, wanted, champion)
        record |= {"verdict": "rolled back", "reasons": ["it loads and answers"]}
        moves = {CHAMPION: wanted}
        if champion is not None and champion != wanted and _exists(model_name, champion):
            moves = {PREVIOUS: champion, **moves}
        return aliases.commit(model_name, record, moves)


def _exists(model_name: str, version: str) -> bool:
    try:
        registry.version_tags(model_name, version)
    except registry.MissingVersionError:
        return False
    return True


# --- the command line --------------------------------------------------------------------------------


def main() -> None:
    """Do what the command line says; exit code 1 with one line where it is refused."""
    arguments = _parser().parse_args()
    try:
        params = load_params()
        name = params.register.model_name
        with registry.connected():
            if arguments.action == "settle":
                record = _settled(arguments)
            else:
                with aliases.locked(name):
                    pass  # what an interrupted call left half done is done before anything is read
                if arguments.action == "rollback":
                    record = rollback(name, arguments.version)
                else:
                    record = propose(name, arguments.version, arguments.unseen, params.promote)
                    if not (arguments.hold and record["verdict"] == "promoted"):
                        record = settle(record)
        text = json.dumps(record, indent=2)
        if arguments.out:
            arguments.out.write_text(text + "\n", encoding="utf-8")
        else:
            print(text)
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None


def _settled(arguments: argparse.Namespace) -> dict[str, Any]:
    """A proposal that was held, settled by what a person said of it."""
    record: dict[str, Any] = json.loads(arguments.record.read_text(encoding="utf-8"))
    if arguments.declined:
        record["declined"] = arguments.declined
    else:
        record["approved_by"] = arguments.approved_by
    return settle(record)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m components.promotion.promote")
    actions = parser.add_subparsers(dest="action", required=True)
    for action, help_text in (("promote", "judge a challenger"), ("rollback", "go back to a version")):
        sub = actions.add_parser(action, help=help_text)
        sub.add_argument("--version", help="version number")
        sub.add_argument("--out", type=Path, help="file for the decision record")
        if action == "promote":
            sub.add_argument(
                "--unseen", action="store_true", help="leave out what the champion was made with"
            )
            sub.add_argument("--hold", action="store_true", help="decide, but leave the move to settle")
    sub = actions.add_parser("settle", help="approve or decline what was held")
    sub.add_argument("record", type=Path)
    sub.add_argument("--out", type=Path)
    said = sub.add_mutually_exclusive_group(required=True)
    said.add_argument("--approved-by")
    said.add_argument("--declined")
    return parser


if __name__ == "__main__":
    main()
