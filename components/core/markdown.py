"""Markdown out of text that strangers wrote: the card of a version, and the pages of a flow."""

from __future__ import annotations

import re
from collections.abc import Iterable

CUT = 300
"""Most characters of a text or cell."""
MARKUP = re.compile(r"([\\`*_\[\]<>|~@]|(?<=[a-zA-Z]):(?=//)|(?<=www)\.)")
"""Characters that Markdown may read as more than themselves; of an address those that make it a link."""


class Markup(str):
    """Text that is Markdown already, by this project: in a table it is kept within its cell, no more."""


def escaped(text: str) -> str:
    """Text as plain Markdown on one line, cut to `CUT` characters, without any that cannot be seen."""
    line = "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
    line = line if len(line) <= CUT else line[: CUT - 1] + "…"
    return MARKUP.sub(r"\\\1", line)


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table; cells are escaped unless they are `Markup`."""
    titles = list(head)
    lines: list[Iterable[object]] = [titles, [Markup("---")] * len(titles), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return value.replace("|", "\\|") if isinstance(value, Markup) else escaped(str(value))
