"""The head of the decisions outside of the store that it guards: decisions.lock, in git beside dvc.lock.

Whoever can write to the database can also take its newest decision away, or all of them, and nothing in the
database tells. Every decision leaves its number and hash in this file, under the id of the log that it stands
in. Commit it with dvc.lock.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from components.core import registry
from components.core.errors import PricewrightError
from components.promotion.decision_log import Entry

ANCHOR = Path("decisions.lock")
Head = dict[str, Any]
"""model, decisions (how many), sha256 (of the last), pending (of one that is about to be made)."""


def announce(model_name: str, digest: str) -> None:
    """Anchor the hash of a decision that is about to be made, so that a crash leaves no doubt whose it is."""
    heads, log = _parsed(_text(), str(ANCHOR)), registry.decision_log(model_name)
    heads[log] = {"model": model_name, "decisions": 0, "sha256": "", **heads.get(log, {}), "pending": digest}
    ANCHOR.write_text(yaml.safe_dump(heads), encoding="utf-8")


def advance(model_name: str, decided: list[Entry]) -> None:
    """Make the decision that was announced the anchored head, where the log holds it."""
    heads, log = _parsed(_text(), str(ANCHOR)), _log(model_name)
    for entry in decided:
        if log in heads and entry.digest == heads[log].get("pending"):
            heads[log] = {"model": model_name, "decisions": entry.number, "sha256": entry.digest}
            ANCHOR.write_text(yaml.safe_dump(heads), encoding="utf-8")


def require_holds(model_name: str, decided: list[Entry]) -> None:
    """Raises PricewrightError where the store has lost or changed a decision that is anchored."""
    if lost := _lost(model_name, decided):
        raise PricewrightError(f"{lost[0]}. Nothing is decided until then")


def faults(model_name: str, decided: list[Entry]) -> list[str]:
    """A line for each difference between the file, as it is and as it was committed, and the store."""
    heads = _parsed(_text(), str(ANCHOR))
    own = heads.pop(_log(model_name), None)
    lines, newest = _lost(model_name, decided), max([entry.number for entry in decided], default=0)
    if own and newest > own["decisions"]:
        lines.append(
            f"the store has {newest} decisions about {model_name}, {ANCHOR} {own['decisions']}: `git pull` "
            "where another clone made the others; else they were written by hand"
        )
    if not own and (others := [head["decisions"] for head in heads.values() if head["model"] == model_name]):
        lines.append(
            f"{ANCHOR} anchors {max(others)} decisions about {model_name} in another store: set "
            "MLFLOW_TRACKING_URI to it, or take its entry out of the file where it was given up"
        )
    return lines


def _lost(model_name: str, decided: list[Entry]) -> list[str]:
    """A line for each anchored head that the log of the model does not hold."""
    hashes, lines = {entry.number: entry.digest for entry in decided}, []
    for where, text in ((str(ANCHOR), _text()), (f"{ANCHOR} as committed", _committed())):
        head = _parsed(text, where).get(_log(model_name), {"decisions": 0})
        if (number := head["decisions"]) and hashes.get(number) != head["sha256"]:
            how = "is another one in" if number in hashes else "is missing from"
            lines.append(f"decision {number} of {where} {how} the store: bring it back from a backup")
    return lines


def _log(model_name: str) -> str:
    return registry.model_tag(model_name, registry.LOG) or ""


def _text() -> str:
    return ANCHOR.read_text(encoding="utf-8") if ANCHOR.is_file() else ""


def _committed() -> str:
    """The file as the last commit has it; empty where it has none, or outside of a repository."""
    show = ["git", "show", f"HEAD:./{ANCHOR}"]
    done = subprocess.run(show, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def _parsed(text: str, where: str) -> dict[str, Head]:
    """Log id to its head. Raises PricewrightError where the text is no such file."""
    try:
        heads: dict[str, Head] = yaml.safe_load(text) or {}
        whole = all({"model", "decisions", "sha256"} <= set(head) for head in heads.values())
    except (yaml.YAMLError, AttributeError, TypeError):
        whole = False
    if not whole:
        raise PricewrightError(f"{where} cannot be read: bring it back with `git checkout {ANCHOR}`")
    return heads
