"""Which version is `champion` and which was `previous`: moved together, recorded, healed after a crash.

The records of all decisions are a chain: each holds the hash of the one before, and a tag of the registered
model holds that of the last, so that a record which is changed or taken away later leaves a gap that
history.py finds. Whoever may write all of the registry can forge all of it; nobody can change one.

A registry moves one alias at a time. So the whole move, its record included, is first written down as one
tag of the registered model; then it is carried out, and the tag taken away. Whoever comes next and finds
such a tag carries it out to its end first: every step of it can be done twice. The order of a database's
write-ahead log.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from components.core import registry, tracking
from components.core.errors import PricewrightError

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
INTENT = "pricewright.move"
"""Tag of the registered model: the move that is under way."""
DECISION = "decision."
"""What the name of a version's tag begins with that holds a decision record; the rest is the record's id."""
HEAD = "pricewright.decisions"
"""Tag of the registered model: how many decisions there were, and the hash of the last."""
LOCK = Path(".pricewright.aliases.lock")
LOOK_AGAIN, STALE = 0.2, 300.0
"""Seconds between two looks at the lock of another clone, and after which one is taken over in any case."""


@contextmanager
def locked(model_name: str) -> Iterator[None]:
    """Hold the lock on the aliases, with what an interrupted process left half done done.

    Within a clone the lock is the kernel's, so that its processes take turns without a look at the registry;
    between clones it is a registered model that only one of them can create.
    """
    with LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with _turn(f"{model_name}.moving"):
            heal(model_name)
            yield


@contextmanager
def _turn(lock: str) -> Iterator[None]:
    """The lock between clones. That of a process that was killed is taken over: at once where it ran on this
    machine, else when it is STALE seconds old, far more than what is done under it takes.
    """
    waits = False
    while not registry.create_once(lock, f"{socket.gethostname()} {os.getpid()}"):
        if not waits:
            print(f"waiting for another process that moves aliases ({lock})", file=sys.stderr, flush=True)
        waits = True
        if (found := registry.described(lock)) and _left_behind(*found):
            registry.delete_model(lock)
        time.sleep(LOOK_AGAIN)
    try:
        yield
    finally:
        registry.delete_model(lock)


def _left_behind(holder: str, age: float) -> bool:
    host, _, pid = holder.rpartition(" ")
    return age > STALE or (host == socket.gethostname() and not psutil.pid_exists(int(pid)))


def commit(model_name: str, record: dict[str, Any], moves: dict[str, str]) -> dict[str, Any]:
    """Keep `record` with the version that it is about, and move the aliases (name to version number).

    To be called under the lock. After a crash in between either no version knows of the record and no alias
    has moved, or `heal` does the rest. `moves` are carried out in their order. Returns the record as it is
    kept, with its number and the hash of the one before.
    """
    count, last = head(model_name)
    record = {**record, "number": count + 1, "before": last}
    registry.tag_model(model_name, INTENT, json.dumps({"record": record, "moves": moves}))
    heal(model_name)
    return record


def heal(model_name: str) -> None:
    """Carry out the move that is written down, if there is one; drop it where a version of it is deleted."""
    if (written := registry.model_tag(model_name, INTENT)) is None:
        return
    intent = json.loads(written)
    record = intent["record"]
    try:
        for version in {record["version"], *intent["moves"].values()}:
            registry.version_tags(model_name, version)
    except registry.MissingVersionError as error:
        print(f"an interrupted {record['kind']} is dropped: {error}", flush=True)
    else:
        tracking.log_decision(record)
        registry.tag_version(model_name, record["version"], DECISION + record["id"], json.dumps(record))
        registry.tag_model(model_name, HEAD, json.dumps([record["number"], digest(record)]))
        for alias, version in intent["moves"].items():
            registry.set_alias(model_name, alias, version)
    registry.tag_model(model_name, INTENT, None)


def entry(kind: str, model_name: str, version: str, champion: str | None) -> dict[str, Any]:
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
    """How many decisions there were, and the hash of the last; 0 and nothing before the first."""
    written = registry.model_tag(model_name, HEAD)
    try:
        count, last = json.loads(written) if written else (0, "")
    except ValueError as error:
        raise PricewrightError(
            f"the tag {HEAD} of {model_name} cannot be read, so that the chain of decisions has no end: set "
            "it back from a backup of the registry"
        ) from error
    return count, last


def digest(record: dict[str, Any]) -> str:
    """SHA-256 of a decision record, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def decisions(model_name: str, version: str) -> list[dict[str, Any]]:
    """The decision records about a version, oldest first."""
    tags = registry.version_tags(model_name, version)
    return [json.loads(tags[name]) for name in sorted(tags) if name.startswith(DECISION)]
