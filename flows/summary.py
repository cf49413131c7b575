"""What a training run came to: the verdict, every candidate's errors, the registered version.

python -m flows.summary
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich import markup
from rich.console import Console
from rich.table import Table

from components.core.markdown import escaped, table

HEADER = (
    "candidate",
    "validation MAE",
    "test MAE (95% interval)",
    "RMSLE",
    "hit rate",
    "unparsed",
)
STANDING = Path("reports/promote.json")
"""Which version is the champion, or why there is none; flows/promote.py leaves it there."""
COMMANDS = {
    "make mlflow": "every run, curve and picture, and the registry",
    "make prefect": "the flow's page",
    "make report": "this summary, and the page with the pictures",
}


def text(reports: Path) -> str:
    """The summary for a terminal; empty where there is nothing evaluated yet."""
    evaluated = _read(reports / "evaluate.json")
    if not evaluated:
        return ""
    figures = Table(*HEADER, box=None, pad_edge=False, header_style="bold")
    for column in figures.columns[1:]:
        column.justify = "right"
        column.no_wrap = True
    for row in rows(evaluated):
        figures.add_row(*map(markup.escape, row))
    console = Console(width=110, highlight=False)
    with console.capture() as captured:
        console.print(markup.escape(evaluated["headline"]), style="bold")
        console.print()
        console.print(figures)
    after = [*_served(_read(reports / "quantize.json")), *_registered(reports), ""]
    after += [f"  {command:<13} {what}" for command, what in COMMANDS.items()]
    return "\n" + captured.get() + "\n" + "\n".join(after)


def markdown(reports: Path) -> str:
    """The same for a Prefect artifact."""
    evaluated = _read(reports / "evaluate.json")
    figures = table(HEADER, rows(evaluated))
    after = [*_served(_read(reports / "quantize.json")), *_registered(reports)]
    return "\n".join([f"**{escaped(evaluated['headline'])}**", "", figures, "", *map(escaped, after)])


def rows(evaluated: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table: the noise floor, then every candidate from the best on validation to the worst."""
    lines: list[tuple[str, ...]] = []
    if floor := evaluated["noise_floor"]:
        maes = (_number(floor["validation"]["mae"]), _number(floor["test"]["mae"]))
        lines.append(("noise floor (the best there can be)", *maes, "", "", ""))
    ranked = sorted(evaluated["candidates"].items(), key=lambda entry: _order(entry[1]))
    for name, candidate in ranked:
        test = candidate["test"]
        lines.append(
            (
                f"{name}  <- winner" if name == evaluated["winner"] else name,
                _number(candidate["validation"]["mae"]),
                f"{_number(test['mae'])} ({_number(test['mae_low'])} to {_number(test['mae_high'])})",
                _number(test["rmsle"], digits=3),
                f"{test['hit_rate']:.0%}",
                f"{test['unparsed']} of {test['n']}",
            )
        )
    return lines


def _number(value: float | None, digits: int = 2) -> str:
    """A dash where no answer of the candidate could be read."""
    return "-" if value is None else f"{value:.{digits}f}"


def _order(candidate: dict[str, Any]) -> float:
    mae = candidate["validation"]["mae"]
    return float("inf") if mae is None else float(mae)


def _served(quantized: dict[str, Any]) -> list[str]:
    """The quantized candidate beside the merged one; a line below the table, for it is made after it."""
    if not quantized.get("format"):
        return []
    test = quantized["test"]
    small, large = (f"{quantized[size] / 1e6:.1f}" for size in ("bytes_served", "bytes_merged"))
    return [
        f"Served: {quantized['candidate']} as {quantized['format']}, test MAE {_number(test['mae_served'])}, "
        f"{_number(test['mae_merged'])} before quantization; {small} of {large} MB"
    ]


def _registered(reports: Path) -> list[str]:
    """The registered version, and the champion, or why there is none and what would help."""
    register, standing = _read(reports / "register.json"), _read(reports / STANDING.name)
    if not register:
        return ["Nothing is registered yet."]
    champion = standing.get("champion")
    aliases = [*register["aliases"], *(["champion"] if champion == register["version"] else [])]
    lines = [f"Registered: {register['model']} version {register['version']} ({', '.join(aliases)})"]
    if champion and champion != register["version"]:
        lines.append(f"Champion: {register['model']} version {champion}; `make promote` compares the two")
    if standing and not champion:
        lines.append(f"No champion: {standing['reason']}")
        lines += [f"What would help: {standing['advice']}"] if standing["advice"] else []
    return lines


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


if __name__ == "__main__":
    print(text(Path("reports")) or "Nothing is evaluated yet: `make run` first.")
