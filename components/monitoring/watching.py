"""The champion in service: its traffic against its training, its answers, and what came true of them.

Pure: tables in, a report out. What is tested when, and at which rate: looks.py.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.core.params.evaluate import Evaluate
from components.core.params.watch import Watch
from components.core.schemas import SERVED_INPUT
from components.model.labels import Labels
from components.monitoring import errors_in_time, inputs, outputs
from components.monitoring.looks import Alarm, Feature, Values, Window, alarms, compared
from components.tasks import AnyTask

PARTS = 2
"""Requests and truths share the alarm rate."""
CATEGORY = "category"
"""Column of the input that names the category, where a request has it."""
GROUP_ROWS_MIN = 20
"""Fewest truths of a period."""


@dataclass(frozen=True)
class Reference:
    """What the champion was trained on, and how it answers rows that no model was fitted on."""

    training: pd.DataFrame
    """Columns `text` and `category`."""
    held_out: pd.DataFrame
    """Columns `predicted`, `low`, `high`, `held`, `width` and `value`."""
    states: Values | None
    """Hidden states of the training texts, (m, d); None leaves them out."""


def first_of_each_input(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without those whose input was there before: asked again it is no new evidence. A row whose
    input is not kept counts as one of its own.
    """
    own = rows["key"] + " " + rows["row"].astype(str)
    inputs = rows["input"].astype(str).where(rows["input"].notna(), own)
    return rows[~inputs.duplicated()].reset_index(drop=True)


def texts_of(rows: pd.DataFrame) -> list[str]:
    """The text of each request; empty where it is not kept."""
    return [str((record or {}).get(SERVED_INPUT) or "") for record in rows["input"]]


def watch(
    answered: pd.DataFrame,
    states: Values | None,
    reference: Reference,
    section: Watch,
    evaluate: Evaluate,
    task: AnyTask,
) -> dict[str, Any]:
    """The report about the champion.

    `answered` has the columns of `truth.answered`, the rows of the champion alone, the oldest first; `states`
    the hidden states of the texts of `first_of_each_input(answered)`, None leaves them out. Keys: `rows`,
    `since`, `alarms` (the first of each feature), `inputs`, `outputs` and `truth` (the latest figures of
    each feature, and tables).
    """
    requests = first_of_each_input(answered)
    known = answered.dropna(subset=["value"]).sort_values("truth_time", kind="stable")
    truths = first_of_each_input(known)
    asked = _asked(requests, states, reference, section)
    answers = outputs.answer_features(reference.held_out, requests, task)
    came = errors_in_time.truth_features(
        reference.held_out, truths, evaluate.interval, section.coverage_tolerance, task
    )
    raised = _alarms([*asked, *answers], requests["time"], section)
    raised += _alarms(came, truths["truth_time"], section)
    latest = truths.tail(section.recalibration_rows)
    broken = task.kind == "number" and any(alarm["feature"] == came[-1].name for alarm in raised)
    return {
        "rows": len(answered),
        "different": len(requests),
        "since": _time(answered["time"].iloc[0]),
        "until": _time(answered["time"].iloc[-1]),
        "alarms": raised,
        "inputs": _latest(asked, requests, section),
        "outputs": _latest(answers, requests, section),
        "answers": outputs.figures(answered, task),
        "disagreement": outputs.disagreement(answered, task, bootstrap=section.bootstrap, seed=section.seed),
        "truth": {
            "rows": len(known),
            "features": _latest(came, truths, section),
            **_tables(known, reference, section, evaluate, task),
            "recalibrated": errors_in_time.recalibrated(latest, evaluate.interval) if broken else None,
        },
    }


def _tables(
    known: pd.DataFrame, reference: Reference, section: Watch, evaluate: Evaluate, task: AnyTask
) -> dict[str, list[dict[str, Any]]]:
    """Loss and coverage in time, by band or label of the answer, and by category."""
    chance = {"bootstrap": section.bootstrap, "seed": section.seed}
    if isinstance(task.answers, Labels):
        names = outputs.names_of(known["predicted"].to_numpy(float), task.answers)
        bands = errors_in_time.by_category(known, names, task, **chance)
    else:
        usual = reference.held_out["predicted"].to_numpy(float)
        bands = errors_in_time.by_band(known, usual, evaluate.bands, task, **chance)
    return {
        "periods": errors_in_time.periods(known, section.periods, GROUP_ROWS_MIN, task, **chance),
        "bands": bands,
        "categories": _by_category(known, reference, task, chance),
    }


def _asked(
    requests: pd.DataFrame, states: Values | None, reference: Reference, section: Watch
) -> list[Feature]:
    """The features of the inputs; none where the inputs are not kept."""
    texts, training = texts_of(requests), reference.training
    if not any(texts):
        return []
    features = inputs.text_features(training["text"].tolist(), texts)
    if categories := _categories(requests, training):
        features.append(inputs.category_feature(*categories))
    if states is not None and reference.states is not None:
        features.append(inputs.state_feature(reference.states, states, section.components))
    return features


def _categories(rows: pd.DataFrame, training: pd.DataFrame) -> tuple[Values, Values] | None:
    """(categories of the training texts, those of the requests): as the requests name them, else as they are
    read from the texts.
    """
    named = [(record or {}).get(CATEGORY) for record in rows["input"]]
    if all(named):
        return training["category"].to_numpy(str), np.array(named, dtype=str)
    return inputs.categories_of(training["text"].tolist(), training["category"].tolist(), texts_of(rows))


def _alarms(features: list[Feature], times: pd.Series, section: Watch) -> list[dict[str, Any]]:
    """The first alarm of each feature, the oldest first, and of how many windows there are more."""
    raised = alarms(features, len(times), section.batch_rows, section.alarm_rate / PARTS)
    windows = Counter(alarm.feature for alarm in raised)
    first = {alarm.feature: alarm for alarm in reversed(raised)}
    records = [_record(alarm, times) | {"windows": windows[name]} for name, alarm in first.items()]
    return sorted(records, key=lambda record: (record["last_row"], record["feature"]))


def _record(alarm: Alarm, times: pd.Series) -> dict[str, Any]:
    window = alarm.window
    return {
        "feature": alarm.feature,
        "test": alarm.test,
        "from": _time(times.iloc[window.start]),
        "to": _time(times.iloc[window.stop - 1]),
        "rows": window.stop - window.start,
        "last_row": window.stop,
        "p": alarm.shift.p,
        "limit": alarm.limit,
        "effect": round(alarm.shift.effect, 4),
        "detail": alarm.shift.detail,
    }


def _latest(features: list[Feature], rows: pd.DataFrame, section: Watch) -> list[dict[str, Any]]:
    """The shift of the latest rows, one batch or fewer, by feature: for a person, no alarm hangs on it."""
    window = Window(0, max(len(rows) - section.batch_rows, 0), len(rows))
    shifts = [(feature, compared(feature, window)) for feature in features]
    return [
        {
            "feature": feature.name,
            "test": feature.test,
            "rows": window.stop - window.start,
            "p": shift.p,
            "effect": round(shift.effect, 4),
            "unit": feature.effect,
            "detail": shift.detail,
        }
        for feature, shift in shifts
    ]


def _by_category(
    known: pd.DataFrame, reference: Reference, task: AnyTask, chance: dict[str, Any]
) -> list[dict[str, Any]]:
    if known.empty or not any(texts_of(known)):
        return []
    categories = _categories(known, reference.training)
    return errors_in_time.by_category(known, categories[1], task, **chance) if categories else []


def _time(time: pd.Timestamp) -> str:
    return pd.Timestamp(time).isoformat(timespec="seconds")
