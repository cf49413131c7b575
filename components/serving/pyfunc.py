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
from components.evaluation.resampling import Floats
from components.model import formats, loading
from components.model.distribution import listing_distribution
from components.tasks import task_of
from components.tasks.number import NumberTask

UNTUNED = "untuned"
"""The folder, within that of a blend, of the base that it reads beside the tuned model."""
POINT, POINTS = "median", ("median", "mean", "mode")
"""The point of the distribution that is answered by default, and all there are."""
QUANTILES, QUANTILES_MAX = 0, 99
"""How many quantiles of the distribution are answered by default, and at most."""


@dataclass(frozen=True)
class Settings:
    """The values of params.yaml on which the answers of a served model depend."""

    task: Task
    batch_size: int
    calibration: Calibration
    """How far low and high go."""

    @cached_property
    def asked(self) -> NumberTask:
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
        task, calibration = Task(**values["task"]), Calibration(**values["calibration"])
        return cls(**values | {"task": task, "calibration": calibration})


class Served:
    """A model as `quantize` wrote it, in memory: one language model, or a blend of it with what regressions
    make of the untuned one.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.settings = settings
        self.tuned, self.tokenizer = formats.load_served(folder), loading.load_tokenizer(folder)
        self.blend, self.untuned = None, None
        if (folder / BLEND).is_dir():
            self.blend = Blend.load(folder / BLEND)
            self.untuned = formats.load_served(folder / BLEND / UNTUNED)

    def distribution(self, texts: list[str], title: str) -> Floats:
        """Probability of each number of the grid, (n, numbers), rows sum to 1."""
        task, batch_size = self.settings.asked, self.settings.batch_size
        tuned = listing_distribution(
            self.tuned, self.tokenizer, texts, task, batch_size=batch_size, title=title
        )
        if self.blend is None:
            return tuned
        depths = self.blend.regressions.ridge.depths
        untuned = blended.untuned(self.untuned, self.tokenizer, texts, depths, task, batch_size)
        return self.blend.distribution(Answers(texts, tuned, *untuned), task.grid)


class Predictor:
    """Answers the question of the task about descriptions by one model, held in memory."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings.read(folder)
        self.served = Served(folder, self.settings)

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Columns value, low and high, one row for each in the column `description`.

        `params` may ask for another `point` of the distribution than the median, `mean` or `mode`, and for a
        column `quantiles` with so many of it, the middles of as many equal shares: in each row a list of
        numbers that rises. Raises PricewrightError for an unknown point, a number of quantiles below 0 or
        above 99, and an empty or missing description.
        """
        point, shares = (params or {}).get("point", POINT), (params or {}).get("quantiles", QUANTILES)
        if point not in POINTS:
            raise PricewrightError(f"there is no point {point!r}: choose among {', '.join(POINTS)}")
        if not 0 <= shares <= QUANTILES_MAX:
            raise PricewrightError(f"quantiles is to be from 0 to {QUANTILES_MAX}, found {shares}")
        texts = [str(text).strip() for text in frame[SERVED_INPUT].fillna("")]
        empty = [row for row, text in enumerate(texts) if not text]
        if empty:
            raise PricewrightError(f"row {empty[0]} has no {SERVED_INPUT}: there is nothing to answer")
        if not texts:
            return pd.DataFrame({name: pd.Series(dtype=float) for name in ("value", "low", "high")})
        distribution, grid = self.served.distribution(texts, "answering"), self.settings.asked.grid
        low, high = self.settings.calibration.interval(distribution, grid)
        answer = pd.DataFrame({"value": getattr(grid, point)(distribution), "low": low, "high": high})
        if shares:
            levels = [(place + 0.5) / shares for place in range(shares)]
            answer["quantiles"] = np.column_stack([grid.quantile(distribution, q) for q in levels]).tolist()
        return answer


def _load_pyfunc(path: str) -> Predictor:
    return Predictor(Path(path))
