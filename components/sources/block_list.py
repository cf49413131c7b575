"""Listings that were erased on request, and are never collected again.

They stand in a committed file as hashes, an id a line: that of a listing's source and of its key there or its
address. `scrape` rejects them, whatever the source gives, and the crawler does not request their pages.
Whoever knows an address can tell whether it is on the list; the list itself names nobody.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from components.core.errors import PricewrightError

FORGOTTEN = Path("data/forgotten.txt")
RULE = "forgotten"
REASON = f"erased on request: {FORGOTTEN} holds its hash"
ID = re.compile("[0-9a-f]{16}")
HEAD = "# Listings that were erased on request, by their ids (`make forget`). Commit this file.\n"


def listing_id(source: str, key: str) -> str:
    """The id of a listing, by its key in the source or its address: 16 hex digits, the same in every run."""
    return hashlib.sha256(f"{source} {key}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class BlockList:
    """The listings of one source that may not be collected."""

    source: str
    ids: frozenset[str]
    host: str = ""
    """Scheme, host and port where the addresses of the source's listings leave them out."""

    def holds(self, key: str) -> bool:
        """Whether the listing of that key or address, or the page at that URL, is on the list."""
        return bool(self.ids) and self._id(key) in self.ids

    def label(self, key: str) -> str:
        """What stands for the address of a listing on the list: its id, as the address may name a person."""
        return f"{RULE} {self._id(key)}"

    def reject(self, key: str) -> dict[str, str]:
        """The reject of a listing on the list."""
        return {"title": "", "target": "", "rule": RULE, "reason": REASON, "address": self.label(key)}

    def _id(self, key: str) -> str:
        return listing_id(self.source, key.removeprefix(self.host))


def forgotten_ids(path: Path) -> frozenset[str]:
    """The ids in a file; none where there is no file. Raises PricewrightError for a line that is no id."""
    if not path.is_file():
        return frozenset()
    lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    for number, line in enumerate(lines, start=1):
        if line and not ID.fullmatch(line):
            raise PricewrightError(
                f"{path}:{number}: {line!r} is no id of a listing (16 hex digits): `make forget` writes this "
                "file; bring it back with git"
            )
    return frozenset(filter(None, lines))


def add_ids(path: Path, ids: Iterable[str]) -> list[str]:
    """Add ids to the file, which is made where there is none; those that it did not have."""
    added = sorted(set(ids) - forgotten_ids(path))
    if added:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.is_file() else HEAD
        gap = "" if before.endswith("\n") else "\n"
        path.write_text(before + gap + "".join(f"{listing}\n" for listing in added), encoding="utf-8")
    return added
