"""The page about the champion in service: alarms, traffic, answers, truth, and the challenger on live
truth.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from components.reporting.html import document, picture, table

PERIODS = "periods.png"
SEQUENCE = "sequence.png"
GROUPED = {"number": ("band of the predicted value", "band"), "label": ("predicted label", "label")}
"""What the answers are grouped by, at length and in a table, by the kind of the task."""
STYLE = "td { white-space: normal; }"


def page(report: dict[str, Any], pictures: Path) -> str:
    """The page as text; `report` is that of the flow `watch`, `pictures` the folder of its figures.

    What comes from a request is escaped.
    """
    parts = [
        "<h1>The champion in service</h1>",
        _headline(report),
        _alarms(report["alarms"]),
        "<h2>What is asked</h2>",
        _note(report),
        _features(report["inputs"]),
        "<h2>What is answered</h2>",
        _features(report["outputs"]),
        _answers(report["answers"], report["kind"]),
        _disagreement(report["disagreement"]),
        "<h2>What came true</h2>",
        *_truth(report["truth"], report["kind"], pictures),
        "<h2>The challenger on live truth</h2>",
        *_challenger(report["challenger"], pictures),
    ]
    return document("Pricewright: the champion in service", "\n".join(parts), STYLE)


def headline(report: dict[str, Any]) -> str:
    """The state in one sentence."""
    alarms = report["alarms"]
    what = ", ".join(alarm["feature"] for alarm in alarms)
    state = f"alarms by {what}" if alarms else "no alarm"
    rows = f"{report['rows']:,} requests, {report['truth']['rows']:,} of them with truth"
    return f"{report['model']} version {report['version']}: {state}; {rows}"


def _headline(report: dict[str, Any]) -> str:
    bad = " bad" if report["alarms"] else ""
    return f'<p class="headline{bad}">{escape(headline(report))}.</p>'


def _alarms(alarms: list[dict[str, Any]]) -> str:
    if not alarms:
        return ""
    head = ("alarm", "test", "rows", "from", "to", "p", "limit", "effect", "windows", "what differs")
    rows = [
        (
            alarm["feature"],
            alarm["test"],
            f"{alarm['rows']:,}",
            alarm["from"][:16],
            alarm["to"][:16],
            f"{alarm['p']:.1e}",
            f"{alarm['limit']:.1e}",
            f"{alarm['effect']:.3f}",
            str(alarm["windows"]),
            alarm["detail"],
        )
        for alarm in alarms
    ]
    note = "The first window of each; `windows` counts all that differ."
    return f"<p class=note>{note}</p>" + table(head, rows)


def _note(report: dict[str, Any]) -> str:
    return (
        f"<p class=note>{report['different']:,} different inputs since {escape(report['since'][:16])}. Each "
        f"{report['batch_rows']} of them, and each run of 2, 4, 8 ... such batches, are compared with "
        f"training once. The chance that traffic like training ever raises an alarm is at most "
        f"{report['alarm_rate']:.0%}, however often it is looked at. Below are the latest rows, a whole "
        "batch or not: no alarm hangs on them.</p>"
    )


def _features(features: list[dict[str, Any]]) -> str:
    if not features:
        return "<p>The inputs are not kept (serve.keep_input), so nothing is known of them.</p>"
    head = ("", "test", "rows", "p", "effect", "unit", "")
    rows = [
        (
            feature["feature"],
            feature["test"],
            f"{feature['rows']:,}",
            f"{feature['p']:.2g}",
            f"{feature['effect']:.3f}",
            feature["unit"],
            feature["detail"],
        )
        for feature in features
    ]
    return table(head, rows)


def _answers(answers: dict[str, Any], kind: str) -> str:
    if kind == "label":
        return (
            f"<p>{answers['rows']:,} answers, {answers['unreadable']:,} of them unreadable; most often "
            f"{escape(answers['predicted'] or '-')}, median size of the set {_number(answers['width'])} "
            f"labels, median time {_number(answers['seconds'])} s.</p>"
        )
    return (
        f"<p>{answers['rows']:,} answers, {answers['unreadable']:,} of them unreadable; median "
        f"{_number(answers['predicted'])}, median width of the interval {_number(answers['width'])} of the "
        f"value, median time {_number(answers['seconds'])} s.</p>"
    )


def _disagreement(disagreement: dict[str, Any] | None) -> str:
    if disagreement is None:
        return "<p>No challenger shadows the champion (serve.shadow).</p>"
    far = f"{disagreement['far']:.1%} ({disagreement['far_low']:.1%} to {disagreement['far_high']:.1%})"
    if "difference" not in disagreement:
        return (
            f"<p>On {disagreement['rows']:,} requests the shadow, version {escape(disagreement['version'])}, "
            f"answers another label than the champion to {far} of them.</p>"
        )
    difference = f"{disagreement['difference']:+.2f}"
    ends = f"{disagreement['difference_low']:+.2f} to {disagreement['difference_high']:+.2f}"
    return (
        f"<p>On {disagreement['rows']:,} requests the shadow, version {escape(disagreement['version'])}, "
        f"answers {difference} on average ({ends}) beside the champion; {far} of its answers are more than a "
        "fifth away.</p>"
    )


def _truth(truth: dict[str, Any], kind: str, pictures: Path) -> list[str]:
    if not truth["rows"]:
        return ["<p>Nothing is known yet: `make truth FILE=sales.csv` tells what came true.</p>"]
    caption = "By the time of the truth, with 95% intervals over inputs."
    return [
        _features(truth["features"]),
        picture("In time", caption, pictures / PERIODS),
        _groups(truth["periods"], "until", "until"),
        f"<h2>By {GROUPED[kind][0]}</h2>",
        _groups(truth["bands"], "name", GROUPED[kind][1]),
        "<h2>By category</h2>",
        _groups(truth["categories"], "name", "category"),
        _recalibrated(truth["recalibrated"]),
    ]


def _groups(groups: list[dict[str, Any]], key: str, title: str) -> str:
    rows = [
        (
            str(group[key])[:40],
            f"{group['rows']:,}",
            _number(group["loss"]),
            f"{_number(group['loss_low'])} to {_number(group['loss_high'])}",
            _share(group["coverage"]),
            f"{_share(group['coverage_low'])} to {_share(group['coverage_high'])}",
        )
        for group in groups
    ]
    return table((title, "truths", "loss", "95% interval", "held", "95% interval"), rows)


def _recalibrated(mended: dict[str, Any] | None) -> str:
    if mended is None:
        return ""
    rows = [
        (
            name,
            f"{part['rows']:,}",
            f"{part['coverage']:.1%}",
            f"{part['low']:.1%} to {part['high']:.1%}",
            f"{part['width']:.2f}",
        )
        for name, part in (("as it is", mended["before"]), ("recalibrated", mended["after"]))
    ]
    return (
        "<h2>The interval no longer holds what it promises</h2>"
        f"<p>Recalibrated on {mended['fitted_on']:,} truths its lower arm would be {mended['lower']:.2f} and "
        f"its upper arm {mended['upper']:.2f} times as long. On later truths, "
        "which had no part in that:</p>"
        + table(("interval", "truths", "held", "95% interval", "mean width"), rows)
    )


def _challenger(challenger: dict[str, Any] | None, pictures: Path) -> list[str]:
    if challenger is None:
        return ["<p>There is no challenger.</p>"]
    lead = (
        f"Version {challenger['version']} on {challenger['rows']:,} requests with truth: "
        f"{challenger['verdict']}. {' '.join(challenger['reasons'])}."
    )
    parts = [f"<p>{escape(lead)}</p>"]
    if challenger["needed"]:
        parts.append(f"<p class=note>About {challenger['needed']:,} such truths would tell by one look.</p>")
    if challenger["sequence"]:
        caption = "The interval holds at all times at once, so that it may be looked at every day."
        parts.append(picture("As truths came in", caption, pictures / SEQUENCE))
    return parts


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
