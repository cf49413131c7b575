"""Blend: the SFT model and some regressions as one model.

Reads the base, the SFT adapter, the regressions in artifacts/baseline/regressions/, and the preference split,
on which none of them was fitted. Writes artifacts/blend/ (the weights and the regressions) and
reports/blend.json. The blend is a candidate like any other: validation decides whether it wins.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.blending import blended
from components.blending.blended import KINDS, Answers, Parts, untuned
from components.core import stage
from components.core.params.blend import Blend
from components.core.schemas import BLEND
from components.evaluation.resampling import Floats
from components.model import adapters, loading
from components.model.distribution import listing_distribution
from components.tasks import AnyTask, load_task


def blend(
    items: pd.DataFrame,
    regressions: Parts,
    base: Path,
    adapter: Path,
    section: Blend,
    task: AnyTask,
) -> tuple[blended.Blend, dict[str, Any]]:
    """(the blend of the language model in `adapter` on `base` and of the regressions, the report).

    `items` are rows of `Item` that none of them was fitted on. In the report: weights and shift, and the mean
    loss of each part and of the blend on these rows, by which no model is chosen.
    """
    true = items["target"].to_numpy(float)
    answers = read(items["text"].tolist(), base, adapter, regressions.depths, section, task)
    fitted = blended.fit(regressions, answers, true, task.answers, shrinkage=section.shrinkage)
    parts = zip(blended.names(regressions), blended.parts(regressions, answers, task.answers), strict=True)
    errors = {
        name: _error(distribution, true, task)
        for name, distribution in [*parts, (BLEND, fitted.distribution(answers, task.answers))]
    }
    values = {"weights": fitted.weights, "shift": fitted.shift}
    return fitted, {"rows": len(items), **values, "error_on_fitted_rows": errors}


def read(
    texts: list[str], base: Path, adapter: Path, depths: list[float], section: Blend, task: AnyTask
) -> Answers:
    """What the base gives for each text with the adapter and without; one model is in memory at a time."""
    tokenizer = loading.load_tokenizer(base)
    model: Any = adapters.load_adapted(base, adapter)
    tuned = listing_distribution(model, tokenizer, texts, task, batch_size=section.batch_size, title="sft")
    del model
    gc.collect()
    model = adapters.load_adapted(base, None)
    return Answers(texts, tuned, *untuned(model, tokenizer, texts, depths, task, section.batch_size))


def _error(distribution: Floats, true: Floats, task: AnyTask) -> float | None:
    errors = task.answers.loss(true, task.answers.point(distribution))
    return None if np.isnan(errors).all() else round(float(np.nanmean(errors)), 4)


def main() -> None:
    """Read the parts, fit weights and shift, write the blend."""
    with stage.run(Blend) as frame:
        artifacts, task = Path("artifacts"), load_task()
        fitted, report = blend(
            stage.read(artifacts / "curate" / "preference.parquet"),
            KINDS[task.kind].load(artifacts / "baseline" / "regressions"),
            artifacts / "base",
            artifacts / "sft",
            frame.section,
            task,
        )
        fitted.save(frame.folder)
        frame.report(report)


if __name__ == "__main__":
    main()
