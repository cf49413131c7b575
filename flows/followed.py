"""Which version the service answers with, and which it compares: looked up again and again."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pandas as pd

from components.core import registry
from components.core.errors import PricewrightError
from components.core.registry import CHALLENGER, CHAMPION, Version
from components.promotion import aliases

NOTICE = "answers on your own word. The gate decides on it with `make promote`; nothing here moves an alias"


class Champion:
    """The version that the decisions have made champion, looked up at every call."""

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name
        self._last: Version | None = None

    def __call__(self) -> Version:
        """Raises PricewrightError where there is none, or the alias stands where no decision has put it."""
        with registry.reachable():
            number = registry.aliases(self.model_name).get(CHAMPION)
            if self._last is None or self._last.number != number:
                self._last = self._decided(number)
            return self._last

    def _decided(self, number: str | None) -> Version:
        if faults := [line for line in aliases.faults(self.model_name) if CHAMPION in line]:
            raise PricewrightError(faults[0])
        if number is None:
            raise PricewrightError(
                f"{self.model_name} has no {CHAMPION} yet: `make promote` decides on the challenger, "
                "`make serve VERSION=n` serves a version that the gate has not passed"
            )
        return registry.open_version(self.model_name, number)


class Challenger:
    """The version that is to be compared with the champion, looked up at every call."""

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def __call__(self) -> Version | None:
        """None where there is none, or it is champion already."""
        with registry.reachable():
            standing = registry.aliases(self.model_name)
            number = standing.get(CHALLENGER)
            if number is None or number == standing.get(CHAMPION):
                return None
            return registry.open_version(self.model_name, number)


def trained_on(version: Version) -> pd.DataFrame:
    """Title, text and value of the rows that a version was trained on, from DVC's store of this clone.

    Raises PricewrightError where they are kept nowhere.
    """
    from components.provenance.lineage import Lineage  # nobody waits for it at the start

    with registry.reachable():
        rows = Lineage(version).rows("train")
    return rows[["title", "text", "target"]].rename(columns={"target": "value"})


def found(model_name: str, number: str | None) -> Callable[[], Version]:
    """What gives the version to serve: the champion, or that of the number, with a notice if it is not."""
    with registry.connected():
        if number is None:
            return Champion(model_name)
        version, champion = (
            registry.open_version(model_name, number),
            registry.aliases(model_name).get(CHAMPION),
        )
    if number != champion:
        stands = f"version {champion} is" if champion else "there is none"
        print(f"NOT THE CHAMPION ({stands}): {version} {NOTICE}\n", file=sys.stderr, flush=True)
    return lambda: version
