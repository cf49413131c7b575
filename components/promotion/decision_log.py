"""What the gate has proposed and what was settled by it: the log from which the aliases follow.

It is a run whose parameters the database lets nobody change (`tracking.append_once`). `proposal.ID` holds a
record as the gate has made it, before anybody is asked; `decision.000001` and so on hold what was settled,
with the moves of the aliases; `dropped.000001` says that its moves could not be made. A decision moves an
alias only where it settles such a proposal, as it stands, once, and approved where that was required: one
that was written by hand makes no version champion.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.core.registry import CHAMPION, PREVIOUS

Record = dict[str, Any]
Moves = dict[str, str]
PROPOSAL, SETTLED, DROPPED = "proposal.", "decision.", "dropped."
"""What the keys of the log begin with."""
NAME = re.compile(rf"{re.escape(SETTLED)}\d{{6}}")
ANSWERS, PLACE = {"approved_by", "declined"}, {"number", "before"}
"""Keys of a decision that its proposal has not: the answer of a person, and the place in the chain."""
KEYS = {"id", "kind", "when", "by", "model", "version", "champion", "verdict"} | PLACE


@dataclass(frozen=True)
class Entry:
    """A decision in the log."""

    number: int
    record: Record = field(default_factory=dict)
    """Empty where it cannot be read."""
    moves: Moves = field(default_factory=dict)
    """Alias to version number, in their order; none where the entry is faulty or the moves were dropped."""
    fault: str = ""
    """Why it moves nothing."""
    digest: str = ""
    """SHA-256 by which the next one refers to it."""


def store(record: Record) -> Record:
    """Keep what the gate proposes, and give it back. Only what is kept can be settled."""
    log, key = registry.decision_log(record["model"]), PROPOSAL + record["id"]
    if not tracking.append_once(log, key, json.dumps(record)):
        raise PricewrightError(f"there is another proposal {record['id']} about {record['model']}: try again")
    return record


def drop(model_name: str, number: int, reason: str) -> None:
    """Keep that the moves of a decision could not be made."""
    tracking.append_once(registry.decision_log(model_name), f"{DROPPED}{number:06}", reason)


def entries(model_name: str) -> list[Entry]:
    """The decisions about a model, oldest first, each checked against those before it and its proposal."""
    return _checked(_written(model_name))


def digest(record: Record) -> str:
    """SHA-256 of a record, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def whole(record: object) -> TypeGuard[Record]:
    """Whether it is the record of a decision at all."""
    return (
        isinstance(record, dict)
        and set(record) >= KEYS
        and isinstance(record["number"], int)
        and all(isinstance(record[name], str) for name in KEYS - {"number", "champion"})
    )


def key(number: int) -> str:
    """The key under which a decision stands."""
    return f"{SETTLED}{number:06}"


def counted(decided: list[Entry]) -> list[Entry]:
    """Those that count."""
    return [entry for entry in decided if not entry.fault]


def crowned(decided: list[Entry]) -> list[str]:
    """The versions that were champion once, in their order."""
    return list(dict.fromkeys(entry.moves[CHAMPION] for entry in decided if CHAMPION in entry.moves))


def moved(decided: list[Entry]) -> Moves:
    """Alias to version number, as the decisions have left them."""
    moves: Moves = {}
    for entry in decided:
        moves |= entry.moves
    return moves


def crowns(record: Record) -> bool:
    """Whether a decision makes its version champion."""
    return record["verdict"] in ("promoted", "rolled back") and "declined" not in record


def require_settles(record: Record, moves: Moves) -> None:
    """Raises PricewrightError where a decision would not count if it were the next in the log."""
    written = _written(record["model"])
    earlier = [entry for entry in _checked(written) if entry.number < record["number"]]
    if fault := _fault(record, moves, record["number"], written, earlier):
        raise PricewrightError(
            f"the decision about {record['model']} version {record['version']} does not count: {fault}. Have "
            f"the gate decide with `make promote VERSION={record['version']}`"
        )


def _written(model_name: str) -> dict[str, str]:
    if registry.model_tag(model_name, registry.LOG) is None:
        return {}  # nothing was ever registered
    return tracking.read_log(registry.decision_log(model_name))


def _checked(written: dict[str, str]) -> list[Entry]:
    decided: list[Entry] = []
    for name in sorted(name for name in written if NAME.fullmatch(name)):
        decided.append(_entry(name, written, decided))
    return decided


def _entry(name: str, written: dict[str, str], earlier: list[Entry]) -> Entry:
    text, number = written[name], int(name.removeprefix(SETTLED))
    content = _read(text)
    content = content if isinstance(content, dict) else {}
    record, moves = content.get("record"), content.get("moves")
    if not whole(record) or not isinstance(moves, dict):
        unread = hashlib.sha256(text.encode()).hexdigest()
        return Entry(number, fault="it cannot be read", digest=unread)
    fault = _fault(record, moves, number, written, earlier)
    if fault or f"{DROPPED}{number:06}" in written:
        moves = {}
    return Entry(number, record, moves, fault, digest(record))


def _needs_approval(record: Record) -> bool:
    params = record.get("params")
    return isinstance(params, dict) and bool(params.get("approval"))


def _read(text: str | None) -> Any:
    """What a JSON text holds; None where it is none."""
    try:
        return json.loads(text or "null")
    except ValueError:
        return None


def _fault(record: Record, moves: Moves, number: int, written: dict[str, str], earlier: list[Entry]) -> str:
    """Why a decision does not count; empty where it does."""
    before = (earlier[-1].number, earlier[-1].digest) if earlier else (number - 1, record["before"])
    if (record["number"], number - 1, record["before"]) != (number, *before):
        return "it does not follow the decision before it"
    settled = {name: value for name, value in record.items() if name not in ANSWERS | PLACE}
    if _read(written.get(PROPOSAL + str(record["id"]))) != json.loads(json.dumps(settled)):
        return "it settles no proposal that the gate has stored"
    if record["id"] in {entry.record["id"] for entry in counted(earlier)}:
        return "its proposal was settled before"
    if not crowns(record):
        return "it moves an alias though it makes no champion" if moves else ""
    champion, steps = moved(earlier).get(CHAMPION), {CHAMPION: record["version"]}
    if moves != steps and (champion is None or moves != {PREVIOUS: champion, **steps}):
        return "its moves are not those of its verdict"
    if record["champion"] not in (champion, None):
        return "it was made when another version was champion"
    if _needs_approval(record) and not record.get("approved_by"):
        return "nobody has approved it, and promote.approval was set when it was proposed"
    if record["kind"] == "rollback" and record["version"] not in crowned(earlier):
        return "it goes back to a version that never was champion"
    return ""
