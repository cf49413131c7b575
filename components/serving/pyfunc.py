"""The served model: what `mlflow models serve` and `predict` load.

`_load_pyfunc` is MLflow's hook for a model that is a folder and code, with no pickle. The folder holds
the quantized model in the Hugging Face layout, its tokenizer, and serving.json; of a blend also blend/, with
its weights, its regressions and the base that they read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.blending import blended
from components.blending.blended import Answers, Blend
from components.core.errors import PricewrightError
from components.core.params.task import Task
from components.core.schemas import BLEND, SERVED_INPUT, SERVED_SETTINGS
from components.evaluation.calibration import Calibration
from components.evaluation.intervals import AnyCalibration
from components.evaluation.label_sets import SetCalibration
from components.evaluation.resampling import Floats
from components.model import formats, loading
from components.model.distribution import listing_distribution
from components.model.grid import Grid
from components.model.label_head import label_distribution, load_head
from components.model.labels import Labels
from components.tasks import AnyTask, task_of
from components.tasks.served_answers import COLUMNS

UNTUNED = "untuned"
"""The folder, within that of a blend, of the base that it reads beside the tuned model."""
POINT, POINTS = "median", ("median", "mean", "mode")
"""The point of the distribution that is answered by default, and all there are."""
QUANTILES, QUANTILES_MAX = 0, 99
"""How many quantiles of the distribution are answered by default, and at most."""
OPTIONS: dict[str, dict[str, Any]] = {"number": {"point": POINT, "quantiles": QUANTILES}, "label": {}}
"""What `params` of a request may name, by the kind of the task, and their values where it names none."""
CALIBRATIONS: dict[str, type[Calibration] | type[SetCalibration]]
CALIBRATIONS = {"number": Calibration, "label": SetCalibration}
"""By the kind of the task."""


@dataclass(frozen=True)
class Settings:
    """The values of params.yaml on which the answers of a served model depend."""

    task: Task
    batch_size: int
    calibration: AnyCalibration
    """How far low and high go, or which labels belong to a set."""

    @cached_property
    def asked(self) -> AnyTask:
        """The task of the section, made once: its answers are spelled on first use, not for each request."""
        return task_of(self.task)

    def write(self, folder: Path) -> None:
        """Write `serving.json` beside the model."""
        values = asdict(self) | {"task": self.task.model_dump()}
        (folder / SERVED_SETTINGS).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Settings:
        """What `write` wrote."""
        values = json.loads((folder / SERVED_SETTINGS).read_text(encoding="utf-8"))
        task = Task(**values["task"])
        calibration = CALIBRATIONS[task.kind](**values["calibration"])
        return cls(**values | {"task": task, "calibration": calibration})


class Served:
    """A model as `quantize` wrote it, in memory: one language model, whose completions or whose head over
    labels is read, or a blend of it with what others make of the untuned one.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.settings = settings
        self.tuned, self.tokenizer = formats.load_served(folder), loading.load_tokenizer(folder)
        self.head = load_head(folder)
        self.blend, self.untuned = None, None
        if (folder / BLEND).is_dir():
            self.blend = Blend.load(folder / BLEND)
            self.untuned = formats.load_served(folder / BLEND / UNTUNED)

    def distribution(self, texts: list[str], title: str) -> Floats:
        """Probability of each answer, (n, answers), rows sum to 1."""
        task, batch_size = self.settings.asked, self.settings.batch_size
        options: dict[str, Any] = {"batch_size": batch_size, "title": title}
        if self.head is None:
            tuned = listing_distribution(self.tuned, self.tokenizer, texts, task, **options)
        else:
            tuned = label_distribution(self.tuned, self.head, self.tokenizer, texts, task, **options)
        if self.blend is None:
            return tuned
        depths = self.blend.depths
        untuned = blended.untuned(self.untuned, self.tokenizer, texts, depths, task, batch_size)
        return self.blend.distribution(Answers(texts, tuned, *untuned), task.answers)


class Predictor:
    """Answers the question of the task about descriptions by one model, held in memory."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings.read(folder)
        self.served = Served(folder, self.settings)

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """An answer for each row in the column `description`, see `numbers` and `labels`.

        `params` may ask for another `point` of the distribution of a number than the median, `mean` or
        `mode`, and for `quantiles` so many of it. Raises PricewrightError for an unknown point, a number of
        quantiles below 0 or above 99, one of the two where labels are answered, and an empty or missing
        description.
        """
        options = _options(params or {}, self.settings.task.kind)
        texts = [str(text).strip() for text in frame[SERVED_INPUT].fillna("")]
        empty = [row for row, text in enumerate(texts) if not text]
        if empty:
            raise PricewrightError(f"row {empty[0]} has no {SERVED_INPUT}: there is nothing to answer")
        if not texts:
            columns = COLUMNS[self.settings.task.kind]
            return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
        distribution = self.served.distribution(texts, "answering")
        answers, calibration = self.settings.asked.answers, self.settings.calibration
        if isinstance(answers, Labels):
            assert isinstance(calibration, SetCalibration)
            return labels(distribution, answers, calibration)
        assert isinstance(calibration, Calibration)
        return numbers(distribution, answers, calibration, **options)


def numbers(
    distribution: Floats, grid: Grid, calibration: Calibration, *, point: str, quantiles: int
) -> pd.DataFrame:
    """Columns value, low and high for distributions over a grid, (n, numbers).

    `point` is one of POINTS. Where `quantiles` is not 0 there is a column of this name: in each row a list of
    the middles of as many equal shares, numbers that rise.
    """
    low, high = calibration.interval(distribution, grid)
    answer = pd.DataFrame({"value": getattr(grid, point)(distribution), "low": low, "high": high})
    if quantiles:
        levels = [(place + 0.5) / quantiles for place in range(quantiles)]
        answer["quantiles"] = np.column_stack([grid.quantile(distribution, q) for q in levels]).tolist()
    return answer


def labels(distribution: Floats, answers: Labels, calibration: SetCalibration) -> pd.DataFrame:
    """Columns value, the name of the likeliest label, its probability, and labels, the names of the set that
    holds the true one with the probability `calibration.coverage`, the likeliest first, for distributions of
    shape (n, labels).
    """
    ranked = np.argsort(-distribution, axis=1, kind="stable")
    sets = calibration.sets(distribution)
    return pd.DataFrame(
        {
            "value": [answers.name(answer) for answer in answers.point(distribution)],
            "probability": distribution.max(axis=1).astype(float),
            "labels": [
                [answers.name(place) for place in order if held[place]]
                for order, held in zip(ranked, sets, strict=True)
            ],
        }
    )


def _options(params: dict[str, Any], kind: str) -> dict[str, Any]:
    """What a request asks for, or the defaults. Raises PricewrightError as `Predictor.predict` does."""
    known = OPTIONS[kind]
    if foreign := [name for name in OPTIONS["number"] if name in params and name not in known]:
        raise PricewrightError(f"{foreign[0]} is of numbers, and a {kind} is answered here: leave it out")
    options = {name: params.get(name, usual) for name, usual in known.items()}
    if options.get("point", POINT) not in POINTS:
        raise PricewrightError(f"there is no point {options['point']!r}: choose among {', '.join(POINTS)}")
    if not 0 <= options.get("quantiles", QUANTILES) <= QUANTILES_MAX:
        raise PricewrightError(f"quantiles is to be from 0 to {QUANTILES_MAX}, found {options['quantiles']}")
    return options


def _load_pyfunc(path: str) -> Predictor:
    return Predictor(Path(path))
