"""What align wrote of its policies: how each compares with SFT, and how it learned."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def against_sft(methods: Iterable[str], folder: Path) -> dict[str, dict[str, Any]]:
    """How each aligned candidate compares with SFT and its controls, as align wrote it."""
    return {name: json.loads((folder / name / "against_sft.json").read_text("utf-8")) for name in methods}


def worse_than_sft(outcomes: dict[str, dict[str, Any]]) -> frozenset[str]:
    """The aligned candidates that may not win: they are worse than SFT."""
    return frozenset(name for name, outcome in outcomes.items() if not outcome["may_win"])


def learning_curves(methods: Iterable[str], folder: Path) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """The losses of SFT and the snapshots of each aligned policy, out of the reports of those stages."""
    reports = {name: json.loads((folder / "align" / f"{name}.json").read_text("utf-8")) for name in methods}
    losses = json.loads((folder / "sft.json").read_text("utf-8"))["losses"]
    return losses, {name: report["monitor"]["snapshots"] for name, report in reports.items()}
