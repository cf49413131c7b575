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


def forgetting(found: dict[str, dict[str, float]]) -> str:
    """General texts before and after tuning (`forgetting.compared`)."""
    note = (
        "<p class=note>The same general texts, instructions and questions for every model, before tuning "
        "(base) and after. Perplexity is how many tokens the model hesitates between; a ratio of 1 to the "
        "base means that nothing was lost, 2 that it hesitates between twice as many. Of four answers to a "
        "question one is right. BLEU (0 to 100) and ROUGE-L (0 to 1) compare what each writes after the "
        "instructions with one good answer, word by word: diagnosis only, nothing is chosen by them.</p>"
    )
    lines = [
        (
            escape(name),
            number(one["perplexity"], 1),
            number(one["perplexity_ratio"]),
            number(one["instruction_perplexity"], 1),
            f"{one['choice_accuracy']:.0%}",
            number(one["bleu"], 1),
            number(one["rouge_l"]),
        )
        for name, one in found.items()
    ]
    head = ("", "perplexity, texts", "ratio to the base", "perplexity, instructions", "questions right")
    return note + rows((*head, "BLEU (diagnosis)", "ROUGE-L (diagnosis)"), lines)


def steering(found: list[dict[str, Any]]) -> str:
    """Attacks in the description (`steering.measure`)."""
    note = (
        "<p class=note>A listing is a stranger's text, and may be written for the model. Each attack was put "
        "into the same listings; the first row is a harmless sentence, for comparison. <i>Of the way</i>: 0% "
        "is the price without the attack, 100% the price that it wants, on a logarithmic scale.</p>"
    )
    lines = [
        (
            escape(one["attack"]),
            "–" if one["wanted"] is None else f"${one['wanted']:.0f}",
            f"{one['mean_change']:+.2f}",
            f"{one['share_moved']:.0%}",
            "–" if one["wanted"] is None else f"{one['toward']:.0%}",
            "–" if one["wanted"] is None else f"{one['obeyed']:.0%}",
        )
        for one in found
    ]
    head = ("attack", "wants", "mean change, dollars", "prices moved", "of the way, median", "obeyed")
    return note + rows(head, lines)


def _cell(mean: float, low: float, high: float) -> str:
    sure = low > 0 or high < 0
    text = f"<b>{mean:+.2f}</b>" if sure else f"{mean:+.2f}"
    return f"{text}<br><small>{low:+.1f} to {high:+.1f}</small>"
