"""Intakes of the gate: listings that came in after its rows were seen. They judge versions and train none.

They stand in intakes.csv, a line for each listing, which is committed: `curate` puts them into the split
`gate`, and the gate decides by the last intake. promotion/intake.py draws them.
"""

from __future__ import annotations

from pathlib import Path

from components.core.errors import PricewrightError

FILE = Path("intakes.csv")
HEADER = "intake,id"
Intakes = dict[int, list[str]]
"""Number of the intake, counted from 1, to the ids of its listings."""


def read(path: Path = FILE) -> Intakes:
    """All intakes in their order. Raises PricewrightError where the file is missing or was edited."""
    if not path.is_file():
        raise _broken(path, "is missing")
    header, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    if header != HEADER:
        raise _broken(path, f"begins with {header!r} instead of {HEADER!r}")
    intakes: Intakes = {}
    for place, line in enumerate(lines, start=2):
        number, _, id_ = line.partition(",")
        if not id_ or not number.isdecimal() or int(number) not in (len(intakes), len(intakes) + 1):
            raise _broken(path, f"line {place} is {line!r}, which no intake has written")
        intakes.setdefault(int(number), []).append(id_)
    return intakes


def write(intakes: Intakes, path: Path = FILE) -> None:
    """Write all intakes; an interrupted call leaves the file as it was."""
    lines = [HEADER, *(f"{number},{id_}" for number, ids in intakes.items() for id_ in ids)]
    half = path.with_suffix(".half")
    half.write_text("\n".join(lines) + "\n", encoding="utf-8")
    half.replace(path)


def ids(intakes: Intakes) -> frozenset[str]:
    """The ids of all listings that are the gate's."""
    return frozenset(id_ for listings in intakes.values() for id_ in listings)


def _broken(path: Path, fault: str) -> PricewrightError:
    return PricewrightError(f"{path} {fault}: bring it back with `git checkout {path}`")
