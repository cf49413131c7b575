"""Which version is `champion` and which was `previous`: moved together, recorded, healed after a crash.

A registry moves one alias at a time. So the whole move, its record included, is first written down as one
tag of the registered model; then it is carried out, and the tag taken away. Whoever comes next and finds
such a tag carries it out to its end first: every step of it can be done twice. The order of a database's
write-ahead log.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components import tracking

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
INTENT = "pricewright.move"
"""Tag of the registered model: the move that is under way."""
DECISION = "decision."
"""What the name of a version's tag begins with that holds a decision record; the rest is the record's id."""
LOCK = Path(".pricewright.aliases.lock")


@contextmanager
def locked(model_name: str) -> Iterator[None]:
    """Hold the clone's lock on the aliases, with what an interrupted process left half done done.

    The lock is the kernel's, so a killed process leaves none behind.
    """
    with LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        heal(model_name)
        yield


def commit(model_name: str, record: dict[str, Any], moves: dict[str, str]) -> None:
    """Keep `record` with the version that it is about, and move the aliases (name to version number).

    To be called under the lock. After a crash in between either no version knows of the record and no alias
    has moved, or `heal` does the rest. `moves` are carried out in their order.
    """
    record = {**record, "run": tracking.decision_run(record["kind"], record)}
    tracking.tag_model(model_name, INTENT, json.dumps({"record": record, "moves": moves}))
    heal(model_name)


def heal(model_name: str) -> None:
    """Carry out the move that is written down, if there is one; drop it where a version of it is deleted."""
    if (written := tracking.model_tag(model_name, INTENT)) is None:
        return
    intent = json.loads(written)
    record = intent["record"]
    try:
        for version in {record["version"], *intent["moves"].values()}:
            tracking.version_tags(model_name, version)
    except tracking.MissingVersionError as error:
        print(f"an interrupted {record['kind']} is dropped: {error}", flush=True)
    else:
        tracking.tag_version(model_name, record["version"], DECISION + record["id"], json.dumps(record))
        for alias, version in intent["moves"].items():
            tracking.set_alias(model_name, alias, version)
    tracking.tag_model(model_name, INTENT, None)


def decisions(model_name: str, version: str) -> list[dict[str, Any]]:
    """The decision records about a version, oldest first."""
    tags = tracking.version_tags(model_name, version)
    return [json.loads(tags[name]) for name in sorted(tags) if name.startswith(DECISION)]
