"""What the page that evaluate writes shows where a label is predicted, as HTML."""

from __future__ import annotations

from html import escape
from typing import Any

from components.core.params.evaluate import Evaluate
from components.reporting.evaluation_tables import number
from components.reporting.html import table

HEAD = (
    "error rate, validation",
    "error rate, test",
    "95% interval",
    "macro F1",
    "MCC",
    "log loss",
    "coverage",
)


def row(name: str, by_split: dict[str, Any]) -> list[str]:
    """A candidate, or the noise floor, in the table of all, under HEAD and "unparsed"."""
    test = by_split["test"]
    return [
        name,
        number(by_split["validation"]["loss"], 4),
        number(test["loss"], 4),
        f"{number(test['loss_low'], 4)} to {number(test['loss_high'], 4)}",
        number(test["macro_f1"], 3),
        number(test["mcc"], 3),
        number(test["log_loss"], 3),
        f"{test['coverage']:.0%}" if "coverage" in test else "",
        f"{test['unparsed']} of {test['n']}",
    ]


def legend(result: dict[str, Any], section: Evaluate) -> list[str]:
    """What the columns mean, a line for each."""
    floor = (
        "<b>Noise floor</b>: the error rate of whoever knows the true label of every listing. The rest are "
        "listings that were labelled wrongly, which nobody can know: no model can hope to do better.",
    )
    return [
        *(floor if result["noise_floor"] else ()),
        "<b>Error rate</b>: share of the readable answers that are wrong, with its 95% bootstrap interval "
        "over the products of test. The winner is the language model or blend of it with the fewest "
        "unreadable answers and then the lowest error rate on <i>validation</i>; test played no part in it.",
        "<b>Macro F1</b>: of precision and recall, the mean over the labels, a rare one counting as much as "
        "a common one. <b>MCC</b>: Matthews correlation, 0 for guessing, 1 for no mistake.",
        "<b>Log loss</b>: minus the logarithm of the probability that the true label was given, in nats.",
        "<b>Coverage</b>: how often the set of labels that the model gives with its answer, to hold the "
        f"true one with {section.interval:.0%} probability, does.",
        "<b>Unparsed</b>: answers that are no label. They count as wrong in every measure but the error "
        "rate, and put a candidate behind every one that has fewer.",
    ]


def by_label(measured: list[dict[str, Any]]) -> str:
    """Precision, recall and F1 of each label (`label_metrics.by_label`)."""
    lines = [
        (
            own["label"],
            f"{own['n']}",
            *(number(own[name], 3) for name in ("precision", "recall", "f1")),
        )
        for own in measured
    ]
    note = (
        "<p class=note>Precision: of the listings that are answered so, the share that is. Recall: of those "
        "that are, the share that is answered so.</p>"
    )
    heading = "<h2>Where the winner errs: by label</h2>"
    return f"{heading}\n{note}\n" + table(("label", "listings", "precision", "recall", "F1"), lines)


def coverage(bands: list[dict[str, Any]], interval: float) -> str:
    """What the calibrated sets hold, by how many labels they have (`label_sets.observed`)."""
    lines = [
        (
            band["band"],
            f"{band['n']}",
            f"{band['coverage']:.0%}",
            f"{band['coverage_low']:.0%} to {band['coverage_high']:.0%}",
        )
        for band in bands
    ]
    note = (
        "<p class=note>A set always has the likeliest label: where that alone is right more often than the "
        "set is to be, sets hold more than they promise.</p>"
    )
    return note + table(("set of", "listings", f"held by the {interval:.0%} set", "95% interval"), lines)


def listing(row: dict[str, Any], names: list[str]) -> str:
    """A listing that was answered wrongly; `row` is one of `Prediction` with `title` and `text`."""
    readable = row["predicted"] == row["predicted"]
    answer = f"answered {names[int(row['predicted'])]}" if readable else "no readable answer"
    true = names[int(row["target"])]
    return (
        f'<div class="listing"><b>{escape(true)}, {escape(answer)}</b>: {escape(row["title"])}'
        f"<p>{escape(row['text'])}</p></div>"
    )
