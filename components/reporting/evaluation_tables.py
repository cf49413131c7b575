"""The smaller tables of the page that evaluate writes, as HTML."""

from __future__ import annotations

from html import escape
from typing import Any

from components.reporting.html import Markup, table
from components.reporting.loss import Loss

CONTROLS = ("sft_tempered", "sft_continued")


def number(value: float | None, digits: int = 2) -> str:
    """A dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def coverage(bands: list[dict[str, Any]], interval: float, unit: str) -> str:
    """What the calibrated interval holds, by band of the prediction (`calibration.observed`)."""
    lines = [
        (
            band["band"],
            f"{band['n']}",
            f"{band['coverage']:.0%}",
            f"{band['coverage_low']:.0%} to {band['coverage_high']:.0%}",
            number(band["width"]),
        )
        for band in bands
    ]
    head = (f"predicted, {unit}", "listings", f"held by the {interval:.0%} interval", "95% interval")
    return table((*head, f"mean width, {unit}"), lines)


def groups(measured: list[dict[str, Any]], key: str, title: str, kind: str) -> str:
    """Errors by group, as `scoring.by_length` and its like give them, of a `kind` of task."""
    if kind == "label":
        return _label_groups(measured, key, title)
    lines = [
        (
            str(group[key]),
            f"{group['n']}",
            number(group["loss"]),
            number(group["median_error"]),
            number(group["bias"]),
            "–" if group["share_of_target"] is None else f"{group['share_of_target']:.0%}",
            f"{group['coverage']:.0%}" if "coverage" in group else "–",
        )
        for group in measured
    ]
    return table((title, "listings", "MAE", "median error", "bias", "MAE / mean", "coverage"), lines)


def _label_groups(measured: list[dict[str, Any]], key: str, title: str) -> str:
    lines = [
        (
            str(group[key]),
            f"{group['n']}",
            number(group["loss"], 4),
            f"{group['coverage']:.0%}" if "coverage" in group else "–",
        )
        for group in measured
    ]
    return table((title, "listings", "error rate", "coverage"), lines)


def out_of_domain(figures: dict[str, Any], loss: Loss, kind: str) -> str:
    """The winner on the test listings least like any training listing, and on the rest (`by_likeness`)."""
    note = (
        f"<p class=note>The {figures['share']:.0%} of the test listings that share the least words with any "
        f"training listing (TF-IDF cosine to the nearest at most {figures['likeness_below']:.2f}), and the "
        "rest, with 95% intervals over products.</p>"
    )
    lines = []
    for name in ("least_like", "rest"):
        part = figures[name]
        coverage = [
            f"{part[key]:.0%}" for key in ("coverage", "coverage_low", "coverage_high") if key in part
        ]
        held = coverage[0] + f" ({coverage[1]} to {coverage[2]})" if coverage else "–"
        digits = loss.digits
        ends = f"{number(part['loss_low'], digits)} to {number(part['loss_high'], digits)}"
        error = f"{number(part['loss'], digits)} ({ends})"
        lines.append((name.replace("_", " "), f"{part['n']}", error, held))
    held_by = "held by the set" if kind == "label" else "held by the interval"
    shown = note + table(("", "listings", loss.heading, held_by), lines)
    return shown + (_elsewhere(figures["elsewhere"], loss) if figures["elsewhere"] else "")


def _elsewhere(figures: dict[str, Any], loss: Loss) -> str:
    """Listings of another catalogue: the winner beside what knows the training alone."""
    note = (
        f"<p class=note>Listings of another catalogue, <code>{escape(figures['path'])}</code>, by what was "
        "fitted on this one: the winner, the ridge that knows the base, and the median of training. "
        f"Rejected there: {sum(figures['rejected'].values())}.</p>"
    )
    lines = [
        (
            name,
            f"{part['n']}",
            number(part["loss"]),
            f"{number(part['loss_low'])} to {number(part['loss_high'])}",
        )
        for name, part in figures["candidates"].items()
    ]
    return note + table(("", "listings", loss.heading, "95% interval"), lines)


def pairs(differences: list[dict[str, Any]], names: list[str], loss: Loss) -> str:
    """A square of all pairs (`leaderboard.pairs`), rows and columns in the order of `names`."""
    note = (
        f"<p class=note>{loss.measured.capitalize()} of the row minus that of the column on the test "
        f"split{loss.in_unit}, listing by listing, with the 95% interval of the difference. Below zero "
        "the row is better; in bold, chance does not explain it. With so many pairs, about one in twenty "
        "would be bold by chance alone.</p>"
    )
    cells: dict[tuple[str, str], Markup] = {}
    for pair in differences:
        mean, low, high = pair["mean"], pair["low"], pair["high"]
        cells[pair["candidate"], pair["rival"]] = _cell(mean, low, high, loss)
        cells[pair["rival"], pair["candidate"]] = _cell(-mean, -high, -low, loss)
    lines = [
        (row, *(cells.get((row, column), "" if row == column else "–") for column in names)) for row in names
    ]
    return f"{note}\n{table(('', *names), lines)}"


def alignment(outcomes: dict[str, dict[str, Any]], loss: Loss) -> str:
    """Each aligned model beside SFT and its controls (`comparison.against_sft`), by method."""
    note = (
        f"<p class=note>On validation{loss.in_unit}, listing by listing, with 95% intervals; "
        "below zero the aligned model is better, in bold where chance does not explain it. A model that is "
        "merely surer of itself errs less when it is sampled, and one that saw more answers knows more. So "
        "each is held against SFT sampled at the temperature that makes it as sure (tempered), and against "
        "SFT trained on, on the same listings' answers for as many steps (continued, as sure too). It "
        "<i>helps</i> only where its sampled answers beat both and its answer without sampling (point) is "
        "behind neither.</p>"
    )
    lines: list[tuple[str, ...]] = []
    for name, outcome in outcomes.items():
        rivals = (outcome, *(outcome["controls"][control] for control in CONTROLS))
        for way in ("point", "greedy", "sampled"):
            gaps = (_gap(rival[way]["difference"], loss) for rival in rivals)
            verdict = ("yes" if outcome["helps"] else "no") if way == "point" else ""
            lines.append(
                (
                    name if way == "point" else "",
                    way,
                    number(outcome[way]["aligned"], loss.digits),
                    *gaps,
                    verdict,
                )
            )
    head = ("", "answer", "error", "minus SFT", "minus SFT, tempered", "minus SFT, continued", "helps")
    return note + table(head, lines)


def cost(costs: dict[str, dict[str, Any]]) -> str:
    """What the answers of each endpoint cost; nothing where there is none."""
    if not costs:
        return ""
    note = "<p class=note>The listings of the test split that each answered, and what that cost.</p>"
    lines = [
        (
            name,
            f"{spent['requests']}",
            f"{spent['prompt_tokens']:,}",
            f"{spent['completion_tokens']:,}",
            f"{spent['cost']:.2f}",
        )
        for name, spent in costs.items()
    ]
    head = ("", "listings", "tokens of prompts", "tokens of answers", "cost")
    return f"<h2>What the answers of endpoints cost</h2>\n{note}\n" + table(head, lines)


def forgetting(measured: dict[str, dict[str, float]]) -> str:
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
            name,
            number(figures["perplexity"], 1),
            number(figures["perplexity_ratio"]),
            number(figures["instruction_perplexity"], 1),
            f"{figures['choice_accuracy']:.0%}",
            number(figures["bleu"], 1),
            number(figures["rouge_l"]),
        )
        for name, figures in measured.items()
    ]
    head = ("", "perplexity, texts", "ratio to the base", "perplexity, instructions", "questions right")
    return note + table((*head, "BLEU (diagnosis)", "ROUGE-L (diagnosis)"), lines)


def prompt_injection(effects: list[dict[str, Any]], unit: str) -> str:
    """Attacks in the description (`prompt_injection.attack`)."""
    note = (
        "<p class=note>A listing is a stranger's text, and may be written for the model. Each attack was put "
        "into the same listings; the first row is a harmless sentence, for comparison. <i>Of the way</i>: 0% "
        "is the answer without the attack, 100% the one that it wants, on the scale of the answers.</p>"
    )
    lines = [
        (
            effect["attack"],
            _wanted(effect["wanted"]),
            "–" if effect["mean_change"] is None else f"{effect['mean_change']:+.2f}",
            f"{effect['share_moved']:.0%}",
            "–" if effect["wanted"] is None else f"{effect['toward']:.0%}",
            "–" if effect["wanted"] is None else f"{effect['obeyed']:.0%}",
        )
        for effect in effects
    ]
    change = f"mean change, {unit}" if unit else "mean change"
    head = ("attack", "wants", change, "answers moved", "of the way, median", "obeyed")
    return note + table(head, lines)


def _wanted(wanted: float | str | None) -> str:
    return "–" if wanted is None else wanted if isinstance(wanted, str) else f"{wanted:g}"


def _gap(difference: dict[str, float] | None, loss: Loss) -> str:
    return (
        "–" if difference is None else _cell(difference["mean"], difference["low"], difference["high"], loss)
    )


def _cell(mean: float, low: float, high: float, loss: Loss) -> Markup:
    sure, ends = low > 0 or high < 0, loss.digits - 1
    text = f"<b>{mean:+.{loss.digits}f}</b>" if sure else f"{mean:+.{loss.digits}f}"
    return Markup(f"{text}<br><small>{low:+.{ends}f} to {high:+.{ends}f}</small>")
