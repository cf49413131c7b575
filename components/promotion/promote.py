"""Conclude a decision, and the way back: the aliases move, and the record of it is kept.

Whatever is rejected or goes wrong, the champion stays.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from components.core import registry
from components.core.errors import PricewrightError
from components.core.registry import CHAMPION, PREVIOUS
from components.promotion import aliases
from components.promotion.spending import part
from components.promotion.trial import run_trial

PROBE = "Wireless headphones with noise cancelling"


def conclude(record: dict[str, Any]) -> dict[str, Any]:
    """Keep the record of a decision and, where it is `promoted` and nobody declined, make its version
    champion; the record as it is kept.

    Raises PricewrightError where the champion is another one than it was when the decision was made (of two
    promotions at once only the first can win), or where the version is deleted since.
    """
    name = record["model"]
    with aliases.turn(name) as turn:
        champion = registry.aliases(name).get(CHAMPION)
        promoted = record["verdict"] == "promoted" and "declined" not in record
        if promoted and champion != record["champion"]:
            raise PricewrightError(
                f"the {CHAMPION} of {name} is version {champion} now; it was {record['champion'] or 'none'} "
                f"when version {record['version']} was compared with it. Promote again, to compare it with "
                "the new one"
            )
        _require_unspent(record)
        moves = {}
        if promoted:
            registry.open_version(name, record["version"])  # deleted, it could not be the champion
            moves = {CHAMPION: record["version"]}
        if promoted and champion is not None:
            moves = {PREVIOUS: champion, **moves}
        return aliases.commit(turn, record, moves)


def _require_unspent(record: dict[str, Any]) -> None:
    """Raises PricewrightError where another comparison has taken this one's part of the error rate."""
    if "spent" not in record:
        return
    spent, pair = record["spent"], (record["version"], record["champion"])
    now = part(
        aliases.log(record["model"]),
        record["test_sha256"],
        *pair,
        error_rate=spent["shared"],
        decisions_max=spent["decisions_max"],
    )
    if now.position != spent["position"]:
        raise PricewrightError(
            f"another version was compared on the same test rows since version {record['version']} was, and "
            "has spent its part of the error rate. Promote again"
        )


def rollback(model_name: str, number: str | None) -> dict[str, Any]:
    """Make the version of this number (by default the `previous` one) champion again, once it has shown that
    it answers; the record that is kept.

    Raises PricewrightError where there is none, it is the champion already, or it does not load and answer.
    """
    current = registry.aliases(model_name)
    number = number or current.get(PREVIOUS)
    if number is None:
        raise PricewrightError(
            f"{model_name} has no {PREVIOUS} version to go back to: name one, `make rollback VERSION=n`"
        )
    if number == current.get(CHAMPION):
        raise PricewrightError(f"{model_name} version {number} is the {CHAMPION} already")
    run_trial(registry.open_version(model_name, number), pd.DataFrame({"text": [PROBE]}))
    with aliases.turn(model_name) as turn:
        champion = registry.aliases(model_name).get(CHAMPION)
        record = aliases.new_record("rollback", model_name, number, champion)
        record |= {"verdict": "rolled back", "reasons": ["it loads and answers"]}
        moves = {CHAMPION: number}
        if champion not in (None, number) and champion in (v.number for v in registry.versions(model_name)):
            moves = {PREVIOUS: champion, **moves}
        return aliases.commit(turn, record, moves)
