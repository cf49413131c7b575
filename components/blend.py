"""Blend: the SFT model and the ridge regression that knows the untuned base, as one model.

Reads the base, the SFT adapter, the regression in artifacts/baseline/ridge/, and the preference split, on
which neither of the two was fitted. Writes artifacts/blend/ (the weights and the regression) and
reports/blend.json. The blend is a candidate like any other: validation decides whether it wins.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.blending import blended
from components.blending.blended import PARTS
from components.core import stage
from components.core.params.blend import Blend
from components.core.params.prompt import Prompt
from components.core.params.section import load_section
from components.core.schemas import BLEND
from components.evaluation.resampling import Floats
from components.model import adapters, loading
from components.model.distribution import listing_distribution, quantile
from components.regression.ridge import RidgeWithBase


def blend(
    items: pd.DataFrame, ridge: RidgeWithBase, base: Path, adapter: Path, section: Blend, prompt: Prompt
) -> tuple[blended.Blend, dict[str, Any]]:
    """(the blend of the language model in `adapter` on `base` and of `ridge`, the report).

    `items` are rows of `Item` that neither was fitted on. In the report: the weights, and the mean absolute
    error in dollars of each part and of the blend on these rows, by which no model is chosen.
    """
    texts, true = items["text"].tolist(), items["price"].to_numpy(float)
    untuned, tuned = (read(base, folder, texts, section, prompt) for folder in (None, adapter))
    fitted = blended.fit(ridge, texts, tuned, untuned, true, shrinkage=section.shrinkage)
    parts = blended.parts(ridge, texts, tuned, untuned)
    read_by = dict(zip(PARTS, parts, strict=True)) | {BLEND: fitted.distribution(texts, tuned, untuned)}
    errors = {name: _error(distribution, true) for name, distribution in read_by.items()}
    return fitted, {"rows": len(items), "weights": fitted.weights, "error_on_fitted_rows": errors}


def read(base: Path, adapter: Path | None, texts: list[str], section: Blend, prompt: Prompt) -> Floats:
    """The price distribution that the base gives for each text with the adapter or without, (n, prices)."""
    model: Any = adapters.load_adapted(base, adapter)
    tokenizer = loading.load_tokenizer(base)
    title = "untuned base" if adapter is None else "sft"
    distribution = listing_distribution(
        model, tokenizer, texts, prompt, batch_size=section.batch_size, title=title
    )
    del model
    gc.collect()
    return distribution


def _error(distribution: Floats, true: Floats) -> float | None:
    errors = np.abs(quantile(distribution, 0.5) - true)
    return None if np.isnan(errors).all() else round(float(np.nanmean(errors)), 4)


def main() -> None:
    """Read the parts, fit their weights, write the blend."""
    with stage.run(Blend) as frame:
        artifacts = Path("artifacts")
        fitted, report = blend(
            stage.read(artifacts / "curate" / "preference.parquet"),
            RidgeWithBase.load(artifacts / "baseline" / "ridge"),
            artifacts / "base",
            artifacts / "sft",
            frame.section,
            load_section(Prompt),
        )
        fitted.save(frame.folder)
        frame.report(report)


if __name__ == "__main__":
    main()
