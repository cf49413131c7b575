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
from components.core.schemas import SCORED

HEADERS = {
    "number": (
        "candidate",
        "validation MAE",
        "test MAE (95% interval)",
        "RMSLE",
        "hit rate",
        "unparsed",
    ),
    "label": (
        "candidate",
        "validation\nerror rate",
        "test error rate\n(95% interval)",
        "macro F1",
        "MCC",
        "log loss",
        "unparsed",
    ),
}
"""By the kind of the task."""
DIGITS = {"number": 2, "label": 3}
"""Of a mean loss."""
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
    figures = Table(*HEADERS[evaluated["kind"]], box=None, pad_edge=False, header_style="bold")
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
    after = [*_served(_read(reports / "quantize.json"), evaluated), *_registered(reports), ""]
    after += [f"  {command:<13} {what}" for command, what in COMMANDS.items()]
    return "\n" + captured.get() + "\n" + "\n".join(after)


def markdown(reports: Path) -> str:
    """The same for a Prefect artifact."""
    evaluated = _read(reports / "evaluate.json")
    header = tuple(name.replace("\n", " ") for name in HEADERS[evaluated["kind"]])
    figures = table(header, rows(evaluated))
    after = [*_served(_read(reports / "quantize.json"), evaluated), *_registered(reports)]
    return "\n".join([f"**{escaped(evaluated['headline'])}**", "", figures, "", *map(escaped, after)])


def rows(evaluated: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table: the noise floor, then every candidate from the best on validation to the worst."""
    lines: list[tuple[str, ...]] = []
    kind = evaluated["kind"]
    digits = DIGITS[kind]
    if floor := evaluated["noise_floor"]:
        losses = (_number(floor[split]["loss"], digits) for split in SCORED)
        lines.append(("noise floor (the best there can be)", *losses, *[""] * (len(HEADERS[kind]) - 3)))
    ranked = sorted(evaluated["candidates"].items(), key=lambda entry: _order(entry[1]))
    for name, candidate in ranked:
        test = candidate["test"]
        loss, low, high = (_number(test[figure], digits) for figure in ("loss", "loss_low", "loss_high"))
        lines.append(
            (
                f"{name}  <- winner" if name == evaluated["winner"] else name,
                _number(candidate["validation"]["loss"], digits),
                f"{loss} ({low} to {high})",
                *_more(test, kind),
                f"{test['unparsed']} of {test['n']}",
            )
        )
    return lines


def _more(test: dict[str, Any], kind: str) -> tuple[str, ...]:
    """The figures between the losses and what was unparsed."""
    if kind == "label":
        return tuple(_number(test[figure], 3) for figure in ("macro_f1", "mcc", "log_loss"))
    return _number(test["rmsle"], 3), f"{test['hit_rate']:.0%}"


def _number(value: float | None, digits: int) -> str:
    """A dash where no answer of the candidate could be read."""
    return "-" if value is None else f"{value:.{digits}f}"


def _order(candidate: dict[str, Any]) -> float:
    loss = candidate["validation"]["loss"]
    return float("inf") if loss is None else float(loss)


def _served(quantized: dict[str, Any], evaluated: dict[str, Any]) -> list[str]:
    """The quantized candidate beside the merged one; a line below the table, for it is made after it."""
    if not quantized.get("format"):
        return []
    served, merged = (
        _number(quantized["test"][name], DIGITS[evaluated["kind"]]) for name in ("loss_served", "loss_merged")
    )
    small, large = (f"{quantized[size] / 1e6:.1f}" for size in ("bytes_served", "bytes_merged"))
    return [
        f"Served: {quantized['candidate']} as {quantized['format']}, test {evaluated['measure']} {served}, "
        f"{merged} before quantization; {small} of {large} MB"
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
