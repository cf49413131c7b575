"""Conclude a decision, and the way back: the aliases move, and the record of it is kept.

Whatever is rejected or goes wrong, the champion stays.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from components.core import registry
from components.core.errors import PricewrightError
from components.core.registry import CHAMPION, PREVIOUS
from components.promotion import aliases, decision_log
from components.promotion.spending import part
from components.promotion.trial import run_trial

PROBE = "Wireless headphones with noise cancelling"


def conclude(record: dict[str, Any]) -> dict[str, Any]:
    """Settle a proposal, with the answer of a person where there is one: keep the record and, where it makes
    its version champion and nobody declined, move the aliases; the record as it is kept.

    Raises PricewrightError where it is no proposal that the gate has stored, the champion is another one than
    it was when the proposal was made (of two at once only the first can win), or the version is deleted
    since.
    """
    name, number = record["model"], record["version"]
    with aliases.turn(name) as turn:
        champion = aliases.standing(name).get(CHAMPION)
        crowns = decision_log.crowns(record)
        if crowns and champion != record["champion"]:
            raise PricewrightError(
                f"the {CHAMPION} of {name} is version {champion or 'none'} now; it was "
                f"{record['champion'] or 'none'} when version {number} was proposed in its place. Try again"
            )
        _require_unspent(record)
        moves = {}
        if crowns:
            registry.open_version(name, number)  # deleted, it could not be the champion
            moves = {CHAMPION: number}
        if crowns and champion not in (None, number):
            moves = {PREVIOUS: str(champion), **moves}
        return aliases.commit(turn, record, moves)


def _require_unspent(record: dict[str, Any]) -> None:
    """Raises PricewrightError where another comparison has taken this one's part of the error rate."""
    if "spent" not in record:
        return
    spent, pair = record["spent"], (record["version"], record["champion"])
    now = part(
        aliases.log(record["model"]),
        record["gate_sha256"],
        record["rows_sample"],
        *pair,
        error_rate=spent["shared"],
        decisions_max=spent["decisions_max"],
    )
    if now.position != spent["position"]:
        raise PricewrightError(
            f"another version was compared on the same gate rows since version {record['version']} was, and "
            "has spent its part of the error rate. Promote again"
        )


def propose_rollback(model_name: str, number: str | None, approval: bool, kind: str) -> dict[str, Any]:
    """The proposal to make the version of this number (by default the `previous` one) champion again, once it
    has shown that it answers as a task of this kind is answered. It is stored, and `conclude` settles it;
    with `approval` only what a person has approved.

    Raises PricewrightError where there is none, it never was champion or is it already, or it does not load
    and answer.
    """
    crowned = decision_log.crowned(decision_log.entries(model_name))
    stands = aliases.standing(model_name)
    number = number or stands.get(PREVIOUS)
    if number is None:
        raise PricewrightError(f"{model_name} has no {PREVIOUS} version to go back to{_instead(crowned)}")
    version = registry.open_version(model_name, number)
    if number == stands.get(CHAMPION) == registry.aliases(model_name).get(CHAMPION):
        raise PricewrightError(f"{version} is the {CHAMPION} already")
    if number not in crowned:
        raise PricewrightError(f"{version} never was {CHAMPION}{_instead(crowned, number)}")
    run_trial(version, pd.DataFrame({"text": [PROBE]}), kind)
    record = aliases.new_record("rollback", model_name, number, stands.get(CHAMPION))
    record |= {
        "verdict": "rolled back",
        "reasons": ["it loads and answers"],
        "params": {"approval": approval},
    }
    return decision_log.store(record)


def _instead(crowned: list[str], number: str = "n") -> str:
    """What to do in the place of a rollback that is refused."""
    versions = (
        f" A rollback goes to what was {CHAMPION} once: version {', '.join(crowned)}." if crowned else ""
    )
    return (
        f".{versions} `make promote VERSION={number}` asks the gate for one, `make serve VERSION={number}` "
        "serves a version that it has not passed"
    )
