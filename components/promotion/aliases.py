"""Which version is `champion` and which was `previous`: moved together, recorded, healed after a crash.

A decision is first appended to the log of the registered model, its moves included, and then carried out.
The log is written once (`tracking.append_once`): of two decisions that are made at the same time, in whatever
clone or on whatever machine, the database takes one as the next, and the other fails. Whoever comes next
carries out what an interrupted process has left in the log; every step of it can be done twice. The order of
a database's write-ahead log.

The records are a chain as well: each holds the hash of the one before, and a tag of the registered model
holds that of the last, so that a record which is changed or taken away later leaves a gap that history.py
finds.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
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
        count, last = head(model_name)
        yield Turn(model_name, count + 1, last)


def commit(turn: Turn, record: dict[str, Any], moves: dict[str, str]) -> dict[str, Any]:
    """Keep `record` with the version that it is about, and move the aliases (name to version number).

    After a crash either nobody knows of the record and no alias has moved, or the next `turn` does the rest.
    `moves` are carried out in their order. Returns the record as it is kept, with its number and the hash of
    the one before. Raises PricewrightError where another clone has made this decision's number its own.
    """
    record = {**record, "number": turn.number, "before": turn.before}
    entry = json.dumps({"record": record, "moves": moves})
    if not tracking.append_once(registry.decision_log(turn.model), _key(turn.number), entry):
        carry_out(turn.model)
        raise PricewrightError(
            f"another decision about {turn.model} was made at the same moment: look at `make history`, "
            "and try again"
        )
    carry_out(turn.model)
    return record


def carry_out(model_name: str) -> None:
    """Carry out the decisions in the log that are not carried out yet, in their order.

    The last entry is looked up again at the end: where another process went on in the meantime, its moves are
    the ones that stay.
    """
    if registry.model_tag(model_name, registry.LOG) is None:
        return  # nothing was ever decided
    log = registry.decision_log(model_name)
    count, _ = head(model_name)
    while (written := tracking.read_log(log).get(_key(count + 1))) is not None:
        _carry_out(model_name, json.loads(written))
        count += 1


def _carry_out(model_name: str, entry: dict[str, Any]) -> None:
    """Record one decision with its version and in a run, and move its aliases; the moves of a decision whose
    version is deleted are dropped.
    """
    record, moves = entry["record"], entry["moves"]
    tracking.log_decision(record)
    try:
        for number in {record["version"], *moves.values()}:
            registry.open_version(model_name, number)
        registry.tag_version(model_name, record["version"], DECISION + record["id"], json.dumps(record))
        for alias, version in moves.items():
            registry.set_alias(model_name, alias, version)
    except registry.MissingVersionError as error:
        print(f"the moves of an interrupted {record['kind']} are dropped: {error}", flush=True)
    registry.tag_model(model_name, HEAD, json.dumps([record["number"], digest(record)]))


def _key(number: int) -> str:
    return f"decision.{number:06}"


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
    if registry.model_tag(model_name, registry.LOG) is None:
        return []
    entries = tracking.read_log(registry.decision_log(model_name))
    return [json.loads(entries[key])["record"] for key in sorted(entries)]


def digest(record: dict[str, Any]) -> str:
    """SHA-256 of a decision record, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def decisions(version: registry.Version) -> list[dict[str, Any]]:
    """The decision records about a version, oldest first."""
    names = sorted(name for name in version.tags if name.startswith(DECISION))
    return [json.loads(version.tags[name]) for name in names]
