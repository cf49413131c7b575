"""Which version is `champion` and which was `previous`: moved together, recorded, healed after a crash.

A decision is first appended to the log of the registered model, its moves included, and then carried out.
The log (decision_log.py) is written once: of two decisions that are made at the same time, in whatever
clone or on whatever machine, the database takes one as the next, and the other fails. Whoever comes next
carries out what an interrupted process has left in the log; every step of it can be done twice. The order of
a database's write-ahead log. Where the aliases stand is what the log says; MLflow's own are its copy.

The records are a chain as well: each holds the hash of the one before, and a tag of the registered model
holds that of the last, so that a record which is changed or taken away later leaves a gap that history.py
finds.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.core.registry import CHAMPION, PREVIOUS
from components.promotion import anchor, decision_log
from components.promotion.decision_log import Entry

DECISION = "decision."
"""What the name of a version's tag begins with that holds a decision record; the rest is the record's id."""
HEAD = "pricewright.decisions"
"""Tag of the registered model: how many decisions there were, and the hash of the last."""
LOCK = Path(".pricewright.aliases.lock")


class Turn(NamedTuple):
    """The place that the next decision has in the chain."""

    model: str
    number: int
    before: str
    """Hash of the decision before it."""


@contextmanager
def turn(model_name: str) -> Iterator[Turn]:
    """The turn to make the next decision, with what an interrupted process left half done done.

    The processes of a clone take turns by a lock on a file; between clones the log decides, see `commit`.
    """
    with LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        carry_out(model_name)
        decided = decision_log.entries(model_name)
        anchor.advance(model_name, decided)
        anchor.require_holds(model_name, decided)
        yield Turn(model_name, *_end(model_name))


def _end(model_name: str) -> tuple[int, str]:
    """(the number of the next decision, the hash of the one before it). Raises PricewrightError where the log
    ends before the decisions that were carried out.
    """
    count, last = head(model_name)
    hashes = {entry.number: entry.digest for entry in decision_log.entries(model_name)}
    if hashes and max(hashes) < count:
        raise PricewrightError(
            f"the log of {model_name} ends with decision {max(hashes)}, and {count} were carried out: bring "
            "it back from a backup of the registry"
        )
    return count + 1, hashes.get(count, last)


def commit(turn: Turn, record: dict[str, Any], moves: dict[str, str]) -> dict[str, Any]:
    """Keep `record` with the version that it is about, and move the aliases (name to version number).

    After a crash either nobody knows of the record and no alias has moved, or the next `turn` does the rest.
    `moves` are carried out in their order. Returns the record as it is kept, with its number and the hash of
    the one before. Raises PricewrightError where it settles no proposal that is stored, or another clone has
    made this decision's number its own.
    """
    record = {**record, "number": turn.number, "before": turn.before}
    decision_log.require_settles(record, moves)
    entry = json.dumps({"record": record, "moves": moves})
    key = decision_log.key(turn.number)
    anchor.announce(turn.model, decision_log.digest(record))
    if not tracking.append_once(registry.decision_log(turn.model), key, entry):
        carry_out(turn.model)
        raise PricewrightError(
            f"another decision about {turn.model} was made at the same moment: look at `make history`, "
            "and try again"
        )
    carry_out(turn.model)
    anchor.advance(turn.model, decision_log.entries(turn.model))
    return record


def carry_out(model_name: str) -> None:
    """Carry out the decisions in the log that are not carried out yet, in their order.

    The last entry is looked up again at the end: where another process went on in the meantime, its moves are
    the ones that stay.
    """
    count, _ = head(model_name)
    while entry := next((e for e in decision_log.entries(model_name) if e.number == count + 1), None):
        _carry_out(model_name, entry)
        count += 1


def _carry_out(model_name: str, entry: Entry) -> None:
    """Record one decision with its version and in a run, and move its aliases. The moves of a decision whose
    version is deleted are dropped; one that does not count leaves nothing but its place in the chain.
    """
    if entry.fault:
        print(f"decision {entry.number} about {model_name} moves nothing: {entry.fault}", flush=True)
    else:
        _settle(model_name, entry)
    registry.tag_model(model_name, HEAD, json.dumps([entry.number, entry.digest]))


def _settle(model_name: str, entry: Entry) -> None:
    record = entry.record
    tracking.log_decision(record)
    try:
        for number in {record["version"], *entry.moves.values()}:
            registry.open_version(model_name, number)
        registry.tag_version(model_name, record["version"], DECISION + record["id"], json.dumps(record))
        for alias, version in entry.moves.items():
            registry.set_alias(model_name, alias, version)
    except registry.MissingVersionError as error:
        print(f"the moves of an interrupted {record['kind']} are dropped: {error}", flush=True)
        decision_log.drop(model_name, entry.number, str(error))


def standing(model_name: str) -> dict[str, str]:
    """Alias to version number as the decisions have put them, whatever MLflow's own say; without those of
    versions that are deleted.
    """
    moved = decision_log.moved(decision_log.entries(model_name))
    there = {version.number for version in registry.versions(model_name)} if moved else set()
    return {alias: version for alias, version in moved.items() if version in there}


def faults(model_name: str) -> list[str]:
    """A line for each alias that does not stand where the decisions have put it."""
    moved = decision_log.moved(decision_log.entries(model_name))
    own, stands = registry.aliases(model_name), standing(model_name)
    lines = []
    for alias in (CHAMPION, PREVIOUS):
        here, there = own.get(alias), stands.get(alias)
        if here != there:
            place = f"at version {here}" if here else "gone"
            put = f"put it at version {there}" if there else "put it nowhere"
            lines.append(
                f"the alias {alias} is {place}, and the decisions have {put}{_mend(alias, here, there)}"
            )
        elif alias in moved and there is None and alias == CHAMPION:
            lines.append(f"version {moved[alias]} was {CHAMPION} and is deleted: `make promote` decides anew")
    return lines


def _mend(alias: str, here: str | None, there: str | None) -> str:
    if alias == CHAMPION and there:
        return f": `make rollback VERSION={there}` puts it back"
    if alias == CHAMPION:
        return f": `make promote VERSION={here}` has the gate decide on it"
    return "; no rollback follows it"


def new_record(kind: str, model_name: str, version: str, champion: str | None) -> dict[str, Any]:
    """What every record begins with: who, when, which versions, by which code."""
    now = datetime.now(UTC)
    return {
        "id": f"{now:%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}",
        "kind": kind,
        "when": now.isoformat(timespec="seconds"),
        "by": os.environ.get("PRICEWRIGHT_BY") or getpass.getuser(),
        "model": model_name,
        "version": version,
        "champion": champion,
        **tracking.git_state(),
    }


def head(model_name: str) -> tuple[int, str]:
    """How many decisions were carried out, and the hash of the last; 0 and nothing before the first."""
    written = registry.model_tag(model_name, HEAD)
    try:
        count, last = json.loads(written) if written else (0, "")
    except ValueError as error:
        raise PricewrightError(
            f"the tag {HEAD} of {model_name} cannot be read, so that the chain of decisions has no end: set "
            "it back from a backup of the registry"
        ) from error
    return count, last


def log(model_name: str) -> list[dict[str, Any]]:
    """The records of all decisions about a model, oldest first, from the log that nobody can change."""
    return [entry.record for entry in decision_log.entries(model_name) if entry.record]


def decisions(version: registry.Version) -> list[dict[str, Any]]:
    """The decision records about a version, oldest first."""
    names = sorted(name for name in version.tags if name.startswith(DECISION))
    return [json.loads(version.tags[name]) for name in names]
