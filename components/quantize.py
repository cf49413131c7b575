"""Quantize: the model that is served, and proof that it still answers alike.

Reads artifacts/base/, the winner's adapter that artifacts/evaluate/winner.json names, and the scored
splits; writes artifacts/quantize/. The adapter is merged in full precision, the merged model quantized,
written, loaded afresh and scored on the very same rows.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from components import modeling, pricing, serving, stage
from components.calibration import Calibration, calibrate
from components.records import SCORED, PricewrightError

MOVED = 0.05
"""A price has moved if it changed by more than this share of the merged model's."""


def parity(true: np.ndarray, merged: np.ndarray, served: np.ndarray) -> dict[str, float]:
    """How far the served model's prices are from the merged model's on the same rows, in dollars."""
    return {
        "mae_merged": float(np.abs(merged - true).mean()),
        "mae_served": float(np.abs(served - true).mean()),
        "mean_change": float(np.abs(served - merged).mean()),
        "share_moved": float((np.abs(served - merged) > MOVED * np.maximum(merged, 1)).mean()),
    }


def quantize(base: Path, adapter: Path, folder: Path, merged_folder: Path, kind: str) -> dict[str, float]:
    """Merge, quantize to `kind` (`nf4` or `none`), write to `folder`; returns both sizes in bytes."""
    tokenizer = modeling.load_tokenizer(base)
    merged = modeling.merged(base, adapter)
    merged.save_pretrained(merged_folder)
    served = modeling.load_model(merged_folder, four_bit=kind == "nf4")
    served.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {"bytes_merged": modeling.size_bytes(merged), "bytes_served": modeling.size_bytes(served)}


def main() -> None:
    """Write the served model and its parity report; stop where it answers worse than it may."""
    with stage.run("quantize") as frame:
        section, params = frame.params.quantize, frame.params
        winner = json.loads(Path("artifacts/evaluate/winner.json").read_text(encoding="utf-8"))
        settings = serving.Settings(
            price_max=int(params.curate.price_max),
            prompt_tokens=params.sft.prompt_tokens,
            batch_size=section.batch_size,
            calibration=Calibration.uncalibrated(params.evaluate.interval),  # until there are answers
        )
        adapter, merged_folder = Path(winner["adapter"]), frame.scratch / "merged"
        sizes = quantize(Path("artifacts/base"), adapter, frame.folder, merged_folder, section.format)
        report: dict[str, Any] = {"candidate": winner["winner"], "format": section.format, **sizes}
        tokenizer = modeling.load_tokenizer(frame.folder)
        models = {
            "merged": modeling.load_model(merged_folder, four_bit=False),
            "served": modeling.load_served(frame.folder),
        }
        for split in SCORED:
            items = stage.read(f"artifacts/curate/{split}.parquet")
            texts, true = list(items["text"]), items["price"].to_numpy()
            asked = {
                name: settings.distribution(model, tokenizer, texts, name) for name, model in models.items()
            }
            report[split] = parity(true, **{name: pricing.quantile(one, 0.5) for name, one in asked.items()})
            if split == "validation":
                calibration = calibrate(
                    asked["served"],
                    true,
                    coverage=params.evaluate.interval,
                    rows_min=params.evaluate.calibration_rows,
                )
                settings = replace(settings, calibration=calibration)
                settings.write(frame.folder)
            else:
                low, high = settings.calibration.interval(asked["served"])
                report[split]["coverage"] = float(((true >= low) & (true <= high)).mean())
        frame.report(report)
        check(report["validation"], section.format, section.mae_tolerance)
        frame.discard_scratch()


def check(validation: dict[str, float], kind: str, tolerance: float) -> None:
    """Raises PricewrightError where the served model errs more than `tolerance` dollars above the merged."""
    rise = validation["mae_served"] - validation["mae_merged"]
    if rise > tolerance:
        raise PricewrightError(
            f"the {kind} model errs {rise:.2f} dollars more than the merged one on validation, {tolerance:g} "
            "are allowed: set quantize.format to none, or raise quantize.mae_tolerance"
        )


if __name__ == "__main__":
    main()
