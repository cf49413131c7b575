"""How a mean loss is written: what it is called, in which unit, with how many digits."""

from __future__ import annotations

from html import escape
from typing import Any, NamedTuple


class Loss(NamedTuple):
    """How the mean loss is written."""

    measure: str
    measured: str
    """At length."""
    unit: str
    """Empty where it has none."""
    digits: int

    @property
    def heading(self) -> str:
        """Over a column."""
        return f"{self.measure}, {self.unit}" if self.unit else self.measure

    @property
    def in_unit(self) -> str:
        """Within a sentence."""
        return f", in {escape(self.unit)}" if self.unit else ""

    @property
    def axis(self) -> str:
        """Along an axis."""
        return f"{self.measured}, {self.unit}" if self.unit else self.measured

    @classmethod
    def of(cls, report: dict[str, Any]) -> Loss:
        """That of a report of evaluate."""
        return cls(*(report[name] for name in cls._fields))
