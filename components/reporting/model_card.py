"""The model card of a version, made from what its stages reported: data, method, metrics, parity, limits.

Every figure comes from a report or from the params; a metric that a later stage adds shows up by itself.
The headings follow Mitchell et al. 2019, Model Cards for Model Reporting.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from components.core.markdown import escaped, table
from components.core.params.base import Base
from components.core.params.evaluate import Evaluate
from components.core.params.scrape import Scrape
from components.core.params.sft import Sft
from components.core.params.task import Task
from components.core.schemas import BLEND

UNSTATED = "none stated"
"""What stands for an empty column `rights` of a raw listing."""


def card(
    name: str,
    reports: dict[str, dict[str, Any]],
    terms: dict[str, int],
    made_from: dict[str, str],
    *,
    scrape: Scrape,
    task: Task,
    base: Base,
    sft: Sft,
    evaluate: Evaluate,
) -> str:
    """The card of the registered model `name`, as Markdown.

    `reports` are those of scrape, curate, evaluate and quantize by name; `terms` is how many raw listings
    state which licence or reservation; `made_from` names what the version is traced by (commit, digests).
    """
    evaluation, quantization = reports["evaluate"], reports["quantize"]
    winner, measure = evaluation["winner"], evaluation["measure"]
    tested = evaluation["candidates"][winner]["test"]
    parts = [
        f"# {name}: {escaped(task.question)}",
        f"A text about a product goes in, {_answer(task)}. "
        f"This is the candidate `{winner}`, served as {quantization['format']}. "
        f"{escaped(evaluation['headline'])}.",
        _use(scrape.source),
        "## Data",
        _data(scrape.source, task, reports["scrape"], reports["curate"], terms),
        "## Method",
        _method(base, sft, winner),
        "## Metrics on the test rows",
        f"Of `{winner}` before it was quantized; the winner was picked on validation, not by these.",
        table(("metric", "value", "interval"), _measured(tested)),
        "All candidates:",
        table(("candidate", f"validation {measure}", f"test {measure}", "interval"), _candidates(evaluation)),
        "## Parity of the served model",
        table(("figure", "value"), list(_figures(quantization))),
    ]
    if forgetting := evaluation.get("forgetting", {}).get(winner):
        parts += ["## Forgetting", table(("figure", "value"), list(_figures(forgetting)))]
    parts += [*_biases(evaluation), *_out_of_domain(evaluation)]
    limits = _limits(scrape.source, task, evaluate.interval, evaluation)
    parts += ["## Limits", limits, "## Made from", table(("what", "which"), list(made_from.items()))]
    return "\n\n".join(parts) + "\n"


def terms(listings: pd.DataFrame) -> dict[str, int]:
    """How many raw listings state which licence or reservation, the commonest first."""
    stated = listings["rights"] if "rights" in listings else pd.Series("", listings.index)
    counts = stated.replace("", UNSTATED).value_counts()
    return {str(name): int(count) for name, count in counts.items()}


def _answer(task: Task) -> str:
    """What comes out."""
    if task.kind == "label":
        return "one of the labels comes out, with its probability and the set that is to hold the true one"
    return f"the answer in {task.number.unit} comes out, with an interval"


def _range(task: Task) -> str:
    """Among what it answers."""
    if task.kind == "label":
        return "one of " + ", ".join(map(escaped, task.label.names))
    return f"from {task.number.min:g} to {task.number.max:g} {task.number.unit}"


def _use(source: str) -> str:
    """What the model is for, and what it must not be used for."""
    return (
        "## Use\n\n"
        f"Intended: estimates for people who judge or check listings like those of `{source}`, with the "
        "interval beside the answer.\n\n"
        "Forbidden: an answer that binds anybody without a person's look at it; answers that differ by who "
        "asks; claims about what a thing is worth in law, insurance or tax; listings of another kind, "
        "language or currency; agreeing on answers with competitors."
    )


def _biases(evaluation: dict[str, Any]) -> list[str]:
    """Errors on test by category and by what is true; a bias above 0 means answers that are too high."""
    parts = []
    for key in ("category", "band"):
        head = (key, "listings", evaluation["measure"], "bias (predicted minus true)")
        groups = evaluation.get(f"error_by_{key}", [])
        rows = [
            (group[key], group["n"], _number(group["loss"]), _number(group.get("bias"))) for group in groups
        ]
        parts += [f"## Bias by {key}", table(head, rows)] if rows else []
    return parts


def _out_of_domain(evaluation: dict[str, Any]) -> list[str]:
    """Error and coverage on the test rows least like any training listing, beside the rest."""
    figures = evaluation.get("out_of_domain")
    if not figures:
        return []
    rows = [
        (
            name.replace("_", " "),
            figures[name]["n"],
            *(_number(figures[name]["loss"]), _interval(figures[name], "loss")),
            *(_number(figures[name].get("coverage")), _interval(figures[name], "coverage")),
        )
        for name in ("least_like", "rest")
    ]
    head = ("listings", "count", evaluation["measure"], "interval", "coverage of the interval", "interval")
    what = (
        f"The {figures['share']:.0%} of the test listings that are least like any training listing (TF-IDF "
        f"cosine to the nearest at most {figures['likeness_below']:.2f}), and the rest:"
    )
    parts = ["## Out of domain", what, table(head, rows)]
    if there := figures["elsewhere"]:
        errors = [
            (name, part["n"], _number(part["loss"]), _interval(part, "loss"))
            for name, part in there["candidates"].items()
        ]
        parts.append(f"Listings of another catalogue, {escaped(there['path'])}:")
        parts.append(table(("candidate", "listings", evaluation["measure"], "interval"), errors))
    return parts


def _data(
    source: str, task: Task, scrape: dict[str, Any], curate: dict[str, Any], terms: dict[str, int]
) -> str:
    rejected = {name: count for name, count in curate["rejected"].items() if count}
    lines = [
        f"- {scrape['listings']} raw listings from the source `{source}`.",
        f"- Terms of the source: {', '.join(f'{escaped(name)} {count}' for name, count in terms.items())}.",
        f"- Rejected or folded, by rule: {_counts(rejected) or 'none'}.",
        f"- Rows: {_counts(curate['rows'])}; no product is in two splits.",
        f"- Answers: {_range(task)}.",
    ]
    return "\n".join(lines)


def _method(base: Base, sft: Sft, winner: str) -> str:
    lora = sft.lora
    revision = f" at {base.revision}" if base.revision else ""
    lines = [
        f"- Base: `{base.model}`{revision}.",
        f"- Fine-tuned with QLoRA (rank {lora.rank}, alpha {lora.alpha}) for {sft.epochs:g} epochs at a "
        f"learning rate of {sft.learning_rate:g}, with the loss on the answer alone.",
    ]
    if winner == BLEND:
        lines.append(
            "- Blended with regressions on words and on what the base holds before fine-tuning, by weights "
            "fitted on rows that none was trained on."
        )
    elif winner != "sft":
        lines.append(f"- Aligned by `{winner}` on preference pairs.")
    lines.append(
        "- Read as a distribution over all answers: that with the lowest expected loss is the answer."
    )
    return "\n".join(lines)


def _limits(source: str, task: Task, interval: float, evaluation: dict[str, Any]) -> str:
    step = "" if task.kind == "label" else f" by {task.number.step:g}"
    lines = [
        f"- It has read listings of `{source}` only, and answers {_range(task)}{step}.",
        f"- It reads the first {task.tokens} tokens; the end of a longer text is cut.",
        f"- The interval or set is to hold {interval:.0%} of what is true of listings like these; "
        "of others it promises nothing.",
        "- A listing may have been written to steer the answer, which is an estimate and no offer.",
    ]
    if floor := evaluation.get("noise_floor"):
        lines.append(
            "- The listings are generated by a known law with noise. The law itself errs "
            f"{floor['test']['loss']:.2f} on the test rows: no model can expect to err less, and "
            "figures on such listings say little about real shops."
        )
    return "\n".join(lines)


def _candidates(evaluation: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, splits in evaluation["candidates"].items():
        test = splits["test"]
        interval = _interval(test, "loss")
        rows.append((name, _number(splits["validation"]["loss"]), _number(test["loss"]), interval))
    return rows


def _measured(metrics: dict[str, Any]) -> list[tuple[str, ...]]:
    """Name, value and interval of every plain figure."""
    return [
        (name.replace("_", " "), _number(value), _interval(metrics, name))
        for name, value in metrics.items()
        if isinstance(value, int | float) and not name.endswith(("_low", "_high"))
    ]


def _interval(metrics: dict[str, Any], name: str) -> str:
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    return "" if low is None or high is None else f"{_number(low)} to {_number(high)}"


def _figures(report: dict[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Every figure of a nested report, with where it stands."""
    rows = []
    for name, value in report.items():
        label = f"{above}{name}".replace("_", " ")
        if isinstance(value, dict):
            rows += _figures(value, f"{label}, ")
        elif isinstance(value, int | float):
            rows.append((label, _number(value)))
    return rows


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value}" if isinstance(value, int) else f"{value:.4g}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
