"""The smaller tables of the page that evaluate writes, as HTML; every name in them is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

PAIRS = (
    "<p class=note>Mean absolute error of the row minus that of the column on the test split, in dollars, "
    "listing by listing, with the 95% interval of the difference. Below zero the row is better; in bold, "
    "chance does not explain it. With so many pairs, about one in twenty would be bold by chance alone.</p>"
)


def rows(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table that scrolls where it is too wide; all cells are HTML already."""
    filled = ["<tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>"]
    filled += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines]
    return '<div class="wide"><table>\n' + "\n".join(filled) + "\n</table></div>"


def number(value: float | None, digits: int = 2) -> str:
    """A dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def coverage(bands: list[dict[str, Any]], interval: float) -> str:
    """What the calibrated interval holds, by band of the predicted price (`calibration.observed`)."""
    lines = [
        (
            escape(band["band"]),
            f"{band['n']}",
            f"{band['coverage']:.0%}",
            f"{band['coverage_low']:.0%} to {band['coverage_high']:.0%}",
            number(band["width"]),
        )
        for band in bands
    ]
    head = ("predicted price", "listings", f"held by the {interval:.0%} interval", "95% interval")
    return rows((*head, "mean width, dollars"), lines)


def groups(found: list[dict[str, Any]], key: str, title: str) -> str:
    """Errors by group, as `scoring.by_length` and its like give them."""
    lines = [
        (
            escape(str(group[key])),
            f"{group['n']}",
            number(group["mae"]),
            number(group["median_error"]),
            "–" if group["share_of_price"] is None else f"{group['share_of_price']:.0%}",
            f"{group['coverage']:.0%}" if "coverage" in group else "–",
        )
        for group in found
    ]
    return rows((title, "listings", "MAE", "median error", "MAE / mean price", "coverage"), lines)


def pairs(found: list[dict[str, Any]], names: list[str]) -> str:
    """A square of all pairs (`judging.pairs`), rows and columns in the order of `names`."""
    cells: dict[tuple[str, str], str] = {}
    for pair in found:
        mean, low, high = pair["mean"], pair["low"], pair["high"]
        cells[pair["one"], pair["other"]] = _cell(mean, low, high)
        cells[pair["other"], pair["one"]] = _cell(-mean, -high, -low)
    lines = [
        (escape(row), *(cells.get((row, column), "" if row == column else "–") for column in names))
        for row in names
    ]
    return rows(("", *map(escape, names)), lines)


def cost(found: dict[str, dict[str, Any]]) -> str:
    """What the answers of each endpoint cost; nothing where none was asked."""
    if not found:
        return ""
    note = (
        "<p class=note>The listings of the test split that each was asked about, and its price for them.</p>"
    )
    lines = [
        (
            escape(name),
            f"{one['requests']}",
            f"{one['prompt_tokens']:,}",
            f"{one['completion_tokens']:,}",
            f"{one['dollars']:.2f}",
        )
        for name, one in found.items()
    ]
    head = ("", "listings", "tokens of prompts", "tokens of answers", "dollars")
    return f"<h2>What the answers from outside cost</h2>\n{note}\n" + rows(head, lines)


def _cell(mean: float, low: float, high: float) -> str:
    sure = low > 0 or high < 0
    text = f"<b>{mean:+.2f}</b>" if sure else f"{mean:+.2f}"
    return f"{text}<br><small>{low:+.1f} to {high:+.1f}</small>"
