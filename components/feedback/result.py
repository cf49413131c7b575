"""What an origin of preferences gives: pairs, and rejects with their reasons."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from components.core.schemas import Pair, RejectedPreference


@dataclass
class Preferences:
    """Pairs of one origin, rejects with their reasons, and figures for the report."""

    origin: str
    pairs: list[Pair] = field(default_factory=list)
    rejects: list[RejectedPreference] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def pair(self, id: str, prompt: str, chosen: str, rejected: str, margin: float | None) -> None:
        """Add a pair."""
        self.pairs.append(
            Pair(id=id, prompt=prompt, chosen=chosen, rejected=rejected, margin=margin, origin=self.origin)
        )

    def reject(self, where: str, reason: str) -> None:
        """Reject a ranking or pair."""
        self.rejects.append(RejectedPreference(origin=self.origin, where=where, reason=reason))


def prompt_id(prompt: str) -> str:
    """Id of a prompt that belongs to no item: 16 hex digits of its SHA-256."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]
