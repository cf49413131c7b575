"""Quantize: the model that is served, and proof that it still answers alike.

Reads artifacts/base/, the winner's adapter that artifacts/evaluate/winner.json names, and the scored
splits; writes artifacts/quantize/. The adapter is merged in full precision. Each format of params.yaml is
made from the merged model, written, loaded afresh and asked about the very same rows; the first one that
answers alike is served. What fails is reported and goes no further.
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
from components.core.params.prompt import Prompt
from components.core.params.quantize import Quantize
from components.core.params.section import load_section
from components.core.schemas import SCORED
from components.evaluation.calibration import Calibration, calibrate
from components.evaluation.metrics import Floats, paired_difference
from components.model import adapters, formats, loading
from components.model.distribution import quantile
from components.serving import pyfunc


def merge(base: Path, adapter: Path, folder: Path) -> None:
    """Merge in full precision and write to `folder`, with the tokenizer of the base."""
    adapters.merge_adapter(base, adapter).save_pretrained(folder)
    loading.load_tokenizer(base).save_pretrained(folder)


def quantize(merged_folder: Path, folder: Path, kind: str) -> dict[str, float]:
    """Write the merged model in the format `kind` to `folder`; returns the bytes of both."""
    formats.write_quantized(merged_folder, folder, kind)
    sizes = {"bytes_merged": merged_folder, "bytes_served": folder}
    return {name: loading.size_bytes(written) for name, written in sizes.items()}


def parity(
    true: Floats, merged: Floats, served: Floats, *, moved: float, bootstrap: int, seed: int
) -> dict[str, float]:
    """How far the served model's prices are from the merged model's on the same rows; all (n,) dollars.

    `mae_change` is MAE served minus MAE merged with its paired 95% interval `_low` to `_high`;
    `share_moved` the share of prices that changed by more than the share `moved` of the merged model's. A
    price that only one of the two could say has moved.
    """
    ends = (float("nan"),) * 3
    if (~np.isnan(merged) & ~np.isnan(served)).any():
        ends = paired_difference(true, served, merged, bootstrap=bootstrap, seed=seed)
    change = np.abs(served - merged)
    alike = (change <= moved * np.maximum(merged, 1)) | (np.isnan(merged) & np.isnan(served))
    return {
        "mae_merged": float(np.nanmean(np.abs(merged - true))),
        "mae_served": float(np.nanmean(np.abs(served - true))),
        "mae_change": ends[0],
        "mae_change_low": ends[1],
        "mae_change_high": ends[2],
        "mean_change": float(np.nanmean(change)),
        "share_moved": float(1 - alike.mean()),
    }


def faults(measured: dict[str, Any], slower: float, section: Quantize) -> list[str]:
    """What is wrong with a format, empty where it may be served; `measured` is its part of the report.

    `slower` is its time for the same rows over the merged model's. It is judged but not named: a report
    that holds a time would differ from run to run.
    """
    on, limit = measured["validation"], section.mae_tolerance
    found = []
    if not (on["mae_change_low"] > -limit and on["mae_change_high"] < limit):
        found.append(
            f"the change of the MAE lies between {on['mae_change_low']:+.2f} and "
            f"{on['mae_change_high']:+.2f} dollars, {limit:g} are allowed (mae_tolerance)"
        )
    if on["share_moved"] > section.moved_share_max:
        found.append(
            f"{on['share_moved']:.1%} of the prices moved by more than {section.moved:.0%}, "
            f"{section.moved_share_max:.1%} may (moved_share_max)"
        )
    if measured["bytes_served"] > section.size_ratio_max * measured["bytes_merged"]:
        found.append(f"it is larger than {section.size_ratio_max:g} times the merged model (size_ratio_max)")
    if slower > section.latency_ratio_max:
        found.append(f"it takes over {section.latency_ratio_max:g} times as long (latency_ratio_max)")
    return found


class Judge:
    """Asks models about the scored rows, and compares them with the merged one."""

    def __init__(
        self, items: pd.DataFrame, settings: pyfunc.Settings, section: Quantize, on: Evaluate
    ) -> None:
        self.items, self.settings, self.section, self.on = items, settings, section, on
        self.true = items["price"].to_numpy(float)

    def ask(self, folder: Path, title: str) -> tuple[Floats, float]:
        """The price distributions of the model in `folder`, loaded afresh, and the seconds they took."""
        model, tokenizer = formats.load_served(folder), loading.load_tokenizer(folder)
        self.settings.distribution(model, tokenizer, self.items["text"].head(1).tolist(), title)  # warm
        start = time.perf_counter()
        asked = self.settings.distribution(model, tokenizer, self.items["text"].tolist(), title)
        return asked, time.perf_counter() - start

    def compare(self, merged: Floats, served: Floats) -> tuple[dict[str, Any], Calibration]:
        """Parity by split, with the coverage on test of the interval calibrated on validation."""
        one, other = quantile(merged, 0.5), quantile(served, 0.5)
        rows = {split: (self.items["split"] == split).to_numpy() for split in SCORED}
        found: dict[str, Any] = {
            split: parity(
                self.true[part],
                one[part],
                other[part],
                moved=self.section.moved,
                bootstrap=self.on.bootstrap,
                seed=self.on.seed,
            )
            for split, part in rows.items()
        }
        validation, test = rows["validation"], rows["test"]
        calibration = calibrate(
            served[validation],
            self.true[validation],
            coverage=self.on.interval,
            rows_min=self.on.calibration_rows,
        )
        low, high = calibration.interval(served[test])
        inside = (self.true[test] >= low) & (self.true[test] <= high)
        found["test"]["coverage"] = float(inside.mean())
        return found, calibration


def chosen(formats: dict[str, dict[str, Any]]) -> str | None:
    """The first format without a fault."""
    return next((kind for kind, measured in formats.items() if not measured["faults"]), None)


def main() -> None:
    """Make and judge every format, keep the first good one, stop where there is none."""
    with stage.run(Quantize) as frame:
        section, on = frame.section, load_section(Evaluate)
        winner = json.loads(Path("artifacts/evaluate/winner.json").read_text(encoding="utf-8"))
        tables = [stage.read(f"artifacts/curate/{split}.parquet") for split in SCORED]
        settings = pyfunc.Settings(
            prompt=load_section(Prompt),
            batch_size=section.batch_size,
            calibration=Calibration.uncalibrated(on.interval),  # until there are answers
        )
        judge = Judge(pd.concat(tables, ignore_index=True), settings, section, on)
        merged_folder = frame.scratch / "merged"
        merge(Path("artifacts/base"), Path(winner["adapter"]), merged_folder)
        merged, seconds_merged = judge.ask(merged_folder, "merged")
        formats: dict[str, dict[str, Any]] = {}
        for kind in section.formats:
            folder = frame.scratch / kind
            sizes = quantize(merged_folder, folder, kind)
            served, seconds = judge.ask(folder, kind)
            measured, calibration = judge.compare(merged, served)
            replace(settings, calibration=calibration).write(folder)
            formats[kind] = {**sizes, **measured}
            formats[kind]["faults"] = faults(formats[kind], seconds / seconds_merged, section)
            frame.tracked.metrics({f"latency_ratio.{kind}": seconds / seconds_merged})
        kept = chosen(formats)
        report = {"candidate": winner["winner"], "format": kept, **formats.get(kept or "", {})}
        frame.report(report | {"formats": formats})
        if kept is None:
            raise PricewrightError(_explain(formats))
        shutil.copytree(frame.scratch / kept, frame.folder, dirs_exist_ok=True)
        frame.discard_scratch()


def _explain(formats: dict[str, dict[str, Any]]) -> str:
    lines = [f"{kind}: {'; '.join(measured['faults'])}" for kind, measured in formats.items()]
    return (
        f"no format answers like the merged model on validation: {' | '.join(lines)}. "
        "Add `none` to quantize.formats, or widen the limit named in brackets"
    )


if __name__ == "__main__":
    main()
