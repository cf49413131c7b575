"""Quantize: the model that is served, and proof that its answers are still those of the merged model.

Reads artifacts/base/, the winner's adapter and blend that artifacts/evaluate/winner.json names, and the
scored splits; writes artifacts/quantize/. The adapter is merged in full precision. The merged model is
written in each format of params.yaml, loaded afresh and compared with it on the very same rows; the first
format within all budgets is served. What fails is reported and goes no further.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.evaluate import Evaluate
from components.core.params.quantize import Quantize
from components.core.params.section import load_section
from components.core.schemas import BLEND, SCORED
from components.evaluation.intervals import AnyCalibration, calibrate, held, uncalibrated
from components.evaluation.metrics import paired_difference
from components.evaluation.resampling import Floats, Products
from components.model import adapters, loading
from components.model.answers import AnswerSet
from components.model.formats import write_quantized
from components.model.label_head import HEAD
from components.serving import pyfunc
from components.serving.pyfunc import UNTUNED
from components.tasks import load_task


def merge(base: Path, adapter: Path, folder: Path, blend: Path | None = None) -> None:
    """Merge in full precision and write to `folder`, with the tokenizer of the base.

    Of a blend, its folder and the base itself, which it reads too, lie beside the merged model.
    """
    adapters.merge_adapter(base, adapter).save_pretrained(folder)
    loading.load_tokenizer(base).save_pretrained(folder)
    if (adapter / HEAD).is_file():
        shutil.copy(adapter / HEAD, folder)
    if blend is not None:
        shutil.copytree(blend, folder / BLEND)
        write_quantized(base, folder / BLEND / UNTUNED, "none")


def quantize(
    merged: Path, scratch: Path, comparison: Comparison, section: Quantize
) -> tuple[dict[str, dict[str, Any]], dict[str, float]]:
    """Write the model in `merged` to `scratch/<format>` in each format of `section` and compare it with that.

    Returns (figures and `faults` by format; time for the same rows over the merged model's, by format).
    """
    reference, seconds_merged = comparison.predict(merged, "merged")
    formats: dict[str, dict[str, Any]] = {}
    ratios: dict[str, float] = {}
    for kind in section.formats:
        folder = scratch / kind
        sizes = write_format(merged, folder, kind)
        served, seconds = comparison.predict(folder, kind)
        measured, calibration = comparison.compare(reference, served)
        replace(comparison.settings, calibration=calibration).write(folder)
        ratios[kind] = seconds / seconds_merged
        formats[kind] = {**sizes, **measured}
        formats[kind]["faults"] = faults(
            formats[kind], ratios[kind], section, comparison.settings.asked.digits
        )
    return formats, ratios


def write_format(merged: Path, folder: Path, kind: str) -> dict[str, float]:
    """Write the merged model in the format `kind` to `folder`; returns the bytes of both."""
    write_quantized(merged, folder, kind)
    if (merged / HEAD).is_file():
        shutil.copy(merged / HEAD, folder)
    if (merged / BLEND).is_dir():
        shutil.copytree(merged / BLEND, folder / BLEND, ignore=shutil.ignore_patterns(UNTUNED))
        write_quantized(merged / BLEND / UNTUNED, folder / BLEND / UNTUNED, kind)
    sizes = {"bytes_merged": merged, "bytes_served": folder}
    return {
        name: sum(loading.size_bytes(part) for part in (written, written / BLEND / UNTUNED) if part.is_dir())
        for name, written in sizes.items()
    }


def parity(
    true: Floats,
    merged: Floats,
    served: Floats,
    products: Products,
    answers: AnswerSet,
    *,
    moved: float,
    bootstrap: int,
    seed: int,
) -> dict[str, float]:
    """How far the served model's answers are from the merged model's on the same rows; all (n,).

    `loss_change` is the mean loss served minus that merged, with its paired 95% interval `_low` to `_high`
    over products; `share_moved` the share of answers that changed by more than the share `moved` of the
    merged model's. An answer that only one of the two models gives has moved.
    """
    before, after = answers.loss(true, merged), answers.loss(true, served)
    ends = (float("nan"),) * 3
    if (~np.isnan(merged) & ~np.isnan(served)).any():
        ends = paired_difference(after, before, products, bootstrap=bootstrap, seed=seed)
    return {
        "loss_merged": float(np.nanmean(before)),
        "loss_served": float(np.nanmean(after)),
        "loss_change": ends[0],
        "loss_change_low": ends[1],
        "loss_change_high": ends[2],
        "mean_change": float(np.nanmean(answers.loss(merged, served))),
        "share_moved": float(answers.moved(merged, served, moved).mean()),
    }


def faults(measured: dict[str, Any], slower: float, section: Quantize, digits: int) -> list[str]:
    """What is wrong with a format, empty where it may be served; `measured` is its part of the report, and
    `digits` those of a mean loss.

    `slower` is its time for the same rows over the merged model's. It is limited but not named: a report
    that holds a time would differ from run to run.
    """
    parity, limit = measured["validation"], section.loss_tolerance
    exceeded = []
    if not (parity["loss_change_low"] > -limit and parity["loss_change_high"] < limit):
        exceeded.append(
            f"the change of the mean loss lies between {parity['loss_change_low']:+.{digits}f} and "
            f"{parity['loss_change_high']:+.{digits}f}, {limit:g} are allowed (loss_tolerance)"
        )
    if parity["share_moved"] > section.moved_share_max:
        exceeded.append(
            f"{parity['share_moved']:.1%} of the answers moved by more than {section.moved:.0%}, "
            f"{section.moved_share_max:.1%} may (moved_share_max)"
        )
    if measured["bytes_served"] > section.size_ratio_max * measured["bytes_merged"]:
        exceeded.append(
            f"it is larger than {section.size_ratio_max:g} times the merged model (size_ratio_max)"
        )
    if slower > section.latency_ratio_max:
        exceeded.append(f"it takes over {section.latency_ratio_max:g} times as long (latency_ratio_max)")
    return exceeded


class Comparison:
    """Predicts the scored rows by a model, and compares served models with the merged one."""

    def __init__(
        self, items: pd.DataFrame, settings: pyfunc.Settings, section: Quantize, evaluation: Evaluate
    ) -> None:
        self.items, self.settings, self.section, self.evaluation = items, settings, section, evaluation
        self.true = items["target"].to_numpy(float)

    def predict(self, folder: Path, title: str) -> tuple[Floats, float]:
        """The distributions of the model in `folder`, loaded afresh, and the seconds they took."""
        served, texts = pyfunc.Served(folder, self.settings), self.items["text"].tolist()
        served.distribution(texts[:1], title)  # warm
        start = time.perf_counter()
        distribution = served.distribution(texts, title)
        return distribution, time.perf_counter() - start

    def compare(self, merged: Floats, served: Floats) -> tuple[dict[str, Any], AnyCalibration]:
        """Parity by split, with the coverage on test of the interval calibrated on validation."""
        task = self.settings.asked
        before, after = task.answers.point(merged), task.answers.point(served)
        rows = {split: (self.items["split"] == split).to_numpy() for split in SCORED}
        figures: dict[str, Any] = {
            split: parity(
                self.true[part],
                before[part],
                after[part],
                self.items["product"].to_numpy()[part],
                task.answers,
                moved=self.section.moved,
                bootstrap=self.evaluation.bootstrap,
                seed=self.evaluation.seed,
            )
            for split, part in rows.items()
        }
        validation, test = rows["validation"], rows["test"]
        calibration = calibrate(
            served[validation],
            self.true[validation],
            task,
            coverage=self.evaluation.interval,
            rows_min=self.evaluation.calibration_rows,
        )
        inside = held(calibration, served[test], self.true[test], task)
        figures["test"]["coverage"] = float(inside.mean())
        return figures, calibration


def chosen(formats: dict[str, dict[str, Any]]) -> str | None:
    """The first format without a fault."""
    return next((kind for kind, measured in formats.items() if not measured["faults"]), None)


def _explain(formats: dict[str, dict[str, Any]]) -> str:
    lines = [f"{kind}: {'; '.join(measured['faults'])}" for kind, measured in formats.items()]
    return (
        f"no format answers validation like the merged model: {' | '.join(lines)}. "
        "Add `none` to quantize.formats, or widen the limit named in brackets"
    )


def main() -> None:
    """Merge the winner, write and compare every format, keep the first good one; stop where there is none."""
    with stage.run(Quantize) as frame:
        winner = json.loads(Path("artifacts/evaluate/winner.json").read_text(encoding="utf-8"))
        evaluation, merged = load_section(Evaluate), frame.scratch / "merged"
        blend = winner["blend"] and Path(winner["blend"])
        merge(Path("artifacts/base"), Path(winner["adapter"]), merged, blend)
        items = pd.concat([stage.read(f"artifacts/curate/{split}.parquet") for split in SCORED])
        task = load_task()
        calibration = uncalibrated(task, evaluation.interval)  # until there are answers
        settings = pyfunc.Settings(task.section, frame.section.batch_size, calibration)
        comparison = Comparison(items.reset_index(drop=True), settings, frame.section, evaluation)
        formats, ratios = quantize(merged, frame.scratch, comparison, frame.section)
        frame.tracked.metrics({f"latency_ratio.{kind}": ratio for kind, ratio in ratios.items()})
        kept = chosen(formats)
        report = {"candidate": winner["winner"], "format": kept, **formats.get(kept or "", {})}
        frame.report(report | {"formats": formats})
        if kept is None:
            raise PricewrightError(_explain(formats))
        shutil.copytree(frame.scratch / kept, frame.folder, dirs_exist_ok=True)
        frame.discard_scratch()


if __name__ == "__main__":
    main()
