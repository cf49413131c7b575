"""The page that evaluate writes: one HTML file that needs nothing else, for a reader without the code.

Pictures are embedded; whatever comes from a listing is escaped, for its text is a stranger's.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from components.core.params.evaluate import Evaluate
from components.core.schemas import BLEND
from components.evaluation.metrics import rank
from components.reporting import evaluation_tables as tables
from components.reporting import label_tables
from components.reporting.evaluation_tables import number
from components.reporting.html import document, picture, table
from components.reporting.loss import Loss

LEARNING = "learning.png"
HEAD = ("MAE, validation", "MAE, test", "95% interval", "median error", "RMSLE", "R²", "hits", "coverage")
BLENDED = {
    "number": "language model and ridges, blended",
    "label": "language model and classifiers, blended",
}
"""What a blend is, by the kind of the task."""
CAPTIONS = {
    "candidates.png": (
        "Every candidate",
        "The shorter the bar, the better. Where two dark lines overlap widely, chance may have decided.",
    ),
    "predicted_true.png": (
        "Predicted against true",
        "One point per listing of the test split; on the red line the prediction is exact. Where ratios "
        "count, both axes are logarithmic, so the same relative error has the same size everywhere.",
    ),
    "confusion.png": (
        "Which labels are taken for which",
        "Shares of the listings of each true label, by the answer. On the diagonal the answer is right.",
    ),
    "error_by_band.png": (
        "Where the winner errs: by what is true",
        "From the lowest to the highest.",
    ),
    "error_by_category.png": ("Where the winner errs: by category", "The commonest categories first."),
    "calibration.png": (
        "Do the intervals or sets hold what they promise?",
        "On the red line what is to hold so many of the answers holds just as many of the test "
        "split. Above it the intervals or sets are wider than they need to be, below it they are too bold.",
    ),
    LEARNING: (
        "How the models learned",
        "Left, the error of the fine-tuned model as it trains, smaller is better. Right, how far an answer "
        "drawn at random is off as each aligned model trains; its first point is the fine-tuned model.",
    ),
}


def page(
    result: dict[str, Any],
    worst: pd.DataFrame,
    pictures: dict[str, Path],
    section: Evaluate,
    question: str,
) -> str:
    """The page as text. `result` is evaluate's report, `worst` has rows of `Prediction` with `title` and
    `text`, `pictures` maps the names in CAPTIONS to PNG files, `question` is that of the task.
    """
    unit, loss = result["unit"], Loss.of(result)
    bad = " bad" if _baseline_does_better(result) else ""
    parts = [
        f"<h1>{escape(question)}</h1>",
        "<p class=note>Each candidate answered for listings that it had never seen.</p>",
        f'<p class="headline{bad}">{escape(result["headline"])}</p>',
        f"<p>{escape(_lead(result))}</p>",
        "<h2>The candidates</h2>",
        _table(result),
        _legend(result, section),
        *(
            picture(*CAPTIONS[name], pictures[name])
            for name in CAPTIONS
            if name in set(pictures) - {LEARNING}
        ),
        *_where(result, section),
        "<h2>Listings unlike any in training</h2>",
        tables.out_of_domain(result["out_of_domain"], loss, result["kind"]),
        "<h2>Who beats whom</h2>",
        tables.pairs(result["pairs"], _ranked(result), loss),
        picture(*CAPTIONS[LEARNING], pictures[LEARNING]),
        "<h2>Did alignment help?</h2>",
        tables.alignment(result["alignment"], loss),
        "<h2>What tuning cost elsewhere</h2>",
        tables.forgetting(result["forgetting"]),
        "<h2>Can a listing set its own answer?</h2>",
        tables.prompt_injection(result["prompt_injection"], unit),
        tables.cost(result["cost"]),
        "<h2>The worst answers of the winner</h2>",
        "<p class=note>On the test split, the farthest off first. Often the listing leaves out what "
        "matters.</p>",
        *(_listing(row, result) for row in worst.to_dict("records")),
    ]
    body = "\n".join(parts)
    return document("Pricewright: evaluation", body)


def _where(result: dict[str, Any], section: Evaluate) -> list[str]:
    """Where the winner errs, and where its intervals or sets hold."""
    kind, bands = result["kind"], result["calibration"]["bands"]
    held = [tables.coverage(bands, section.interval, result["unit"])]
    if kind == "label":
        held = [label_tables.coverage(bands, section.interval), label_tables.by_label(result["by_label"])]
    return [
        *held,
        "<h2>Where the winner errs: by length and source</h2>",
        tables.groups(result["error_by_length"], "length", "characters of text", kind),
        tables.groups(result["error_by_source"], "source", "source", kind),
    ]


def _baseline_does_better(result: dict[str, Any]) -> bool:
    of = result["candidates"]
    best, winner = of[result["best_baseline"]]["validation"], of[result["winner"]]["validation"]
    return rank(best) < rank(winner)


def _lead(result: dict[str, Any]) -> str:
    """Whether the winner's lead over the best baseline on test is more than chance."""
    difference = result["winner_minus_best_baseline"]["test"]
    if difference is None:
        return "The winner and the best baseline have no readable answer to the same listing."
    winner, other = result["winner"], result["best_baseline"]
    digits, less = result["digits"], "less" if difference["mean"] < 0 else "more"
    by = " ".join(filter(None, (f"{abs(difference['mean']):.{digits}f}", result["unit"], less)))
    sure = difference["high"] < 0 or difference["low"] > 0
    return (
        f"Listing by listing, {winner} errs {by} than {other} on the test split (95% interval of the "
        f"difference: {difference['low']:+.{digits}f} to {difference['high']:+.{digits}f}), "
        + ("which chance does not explain." if sure else "which may be chance.")
    )


def _table(result: dict[str, Any]) -> str:
    """The noise floor, then the candidates from the best on validation to the worst."""
    label = result["kind"] == "label"
    row, head = (label_tables.row, label_tables.HEAD) if label else (_row, HEAD)
    rows, classes = [], []
    if floor := result["noise_floor"]:
        rows.append(row("noise floor", floor))
        classes.append("floor")
    for name in _ranked(result):
        candidate = result["candidates"][name]
        kind = BLENDED[result["kind"]] if name == BLEND else candidate["kind"].replace("-", " ")
        rows.append(row(f"{name} ({kind})", candidate))
        classes.append("winner" if name == result["winner"] else "")
    return table(("", *head, "unparsed"), rows, classes)


def _ranked(result: dict[str, Any]) -> list[str]:
    """The candidates from the best on validation to the worst."""
    return sorted(result["candidates"], key=lambda name: rank(result["candidates"][name]["validation"]))


def _row(name: str, by_split: dict[str, Any]) -> list[str]:
    test = by_split["test"]
    return [
        name,
        number(by_split["validation"]["loss"]),
        number(test["loss"]),
        f"{number(test['loss_low'])} to {number(test['loss_high'])}",
        number(test["median_error"]),
        number(test["rmsle"], 3),
        number(test["r2"], 3),
        f"{test['hit_rate']:.0%}",
        f"{test['coverage']:.0%}" if "coverage" in test else "",
        f"{test['unparsed']} of {test['n']}",
    ]


def _legend(result: dict[str, Any], section: Evaluate) -> str:
    lines = label_tables.legend(result, section) if result["kind"] == "label" else _lines(result, section)
    return "<p><small>" + "<br>\n".join(lines) + "</small></p>"


def _lines(result: dict[str, Any], section: Evaluate) -> list[str]:
    lines = [
        f"<b>MAE</b>: mean absolute error in {escape(result['unit'])}, over the answers that could be read, "
        "with its 95% bootstrap interval over the products of test. The winner is the language model "
        "or blend of it with the "
        "fewest unreadable answers and then the lowest MAE on <i>validation</i>; test played no part in it.",
        "<b>Median error</b>: half of the answers are off by less. <b>R²</b>: the share of the "
        "variance that the answers explain.",
        "<b>RMSLE</b>: root mean squared error of the logarithm; about the typical relative error.",
        f"<b>Hits</b>: off by at most {section.hit_error:g} or {section.hit_share:.0%}.",
        f"<b>Coverage</b>: how often the {section.interval:.0%} interval that the model gives with its "
        "answer holds the true one.",
        "<b>Unparsed</b>: answers that could not be read. They are no 0: they count as "
        "missed, and put a candidate behind every one that has fewer.",
    ]
    if result["noise_floor"]:
        expected = result["noise_floor"]["test"]["loss_expected"]
        lines.insert(
            0,
            "<b>Noise floor</b>: the error of the law that made these answers, on the same listings. "
            f"What is left is pure chance ({expected:.2f} expected on test): no model can hope to do "
            "better.",
        )
    return lines


def _listing(row: dict[str, Any], result: dict[str, Any]) -> str:
    if result["kind"] == "label":
        return label_tables.listing(row, result["labels"])
    readable = not pd.isna(row["predicted"])
    answer = f"predicted {row['predicted']:g}" if readable else "no readable answer"
    if readable and not pd.isna(row["low"]):
        answer += f" (between {row['low']:g} and {row['high']:g})"
    true = f"{row['target']:.2f} {escape(result['unit'])}"
    return (
        f'<div class="listing"><b>{true}, {answer}</b>: {escape(row["title"])}'
        f"<p>{escape(row['text'])}</p></div>"
    )
