"""A promotion on 2,000 rows: challenger and champion fetched, tried and compared, in a registry of its own.

    python benchmarks/gate.py [--rows 2000]

Needs the served model of a finished run (artifacts/quantize/). Both trials run in processes of their own, as
they do in the flow; the promotion is to take less than 60 seconds on two cores. Its interval is timed against
a loop in plain Python and scipy.stats.bootstrap, percentile and BCa, on the same differences with as many
resamples.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.stats import bootstrap

from components import register
from components.core import dvc, intakes, registry, tracking
from components.core.params.file import load_params
from components.core.schemas import SERVED_SETTINGS
from components.model.listing_text import listing_text
from components.promotion import aliases, decision, decision_log, gate_rows, promote
from components.promotion.gate import interval
from components.synthetic.catalogue import catalogue
from components.tasks import task_of

ROOT = Path(__file__).resolve().parents[1]
SERVED = ROOT / "artifacts/quantize"
LIMIT = 60.0
SEED = 97
"""Of the listings; the shop's own is another one."""


def main() -> None:
    """Print the seconds that the promotion took, and how the interval compares with others in time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=2000)
    rows = parser.parse_args().rows
    if not SERVED.is_dir():
        raise SystemExit("error: artifacts/quantize/ is missing: `make run` first")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        _registry(rows)
        started = time.perf_counter()
        params = load_params()
        record = promote.conclude(
            decision.propose(params.register.model_name, None, False, params.promote, task_of(params.task))
        )
        seconds = time.perf_counter() - started
    print(
        f"a promotion on {record['rows']} rows: {seconds:.1f} s, {LIMIT / seconds:.1f} times in {LIMIT:g} s"
    )
    print(f"  {record['verdict']}: {record['reasons'][0]}")
    _intervals(rows, record["params"])


def _registry(rows: int) -> None:
    """Two versions of the served model, of which the second cuts its prices off, and rows to judge by."""
    for name in ("evaluate.json", "quantize.json"):
        shutil.copy(ROOT / "reports" / name, name)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    shutil.copytree(SERVED, "served")
    products = [product for product in catalogue(SEED, 2 * rows, 0.25) if product.price is not None][:rows]
    texts = [
        listing_text(product.title, product.brand, product.details, product.description)
        for product in products
    ]
    prices = [float(product.price or 0) for product in products]
    gate_rows.GATE.parent.mkdir(parents=True)
    skus = [product.sku for product in products]
    table = pd.DataFrame({"id": skus, "text": texts, "target": prices, "product": skus})
    table.to_parquet(gate_rows.GATE)
    intakes.write({})
    _baseline(table)
    tracking.connect()
    name = load_params().register.model_name
    settings = json.loads(Path("served", SERVED_SETTINGS).read_text(encoding="utf-8"))
    versions, number = [], settings["task"]["number"]
    for maximum in (number["max"], 300.0):
        Path("served", SERVED_SETTINGS).write_text(
            json.dumps(settings | {"task": settings["task"] | {"number": number | {"max": maximum}}})
        )
        versions.append(_version(name))
    record = aliases.new_record("promote", name, versions[0], None) | {"verdict": "promoted"}
    promote.conclude(decision_log.store(record))
    registry.set_alias(name, registry.CHALLENGER, versions[1])


def _baseline(items: pd.DataFrame) -> None:
    """The predictions of a baseline that is no hindrance, as its stage would have written them."""
    scored = [items.assign(split=split) for split in ("validation", "test")]
    decision.PREDICTIONS.parent.mkdir(parents=True)
    pd.concat(scored).assign(candidate="mean", predicted=5000.0).to_parquet(decision.PREDICTIONS)
    out = {"path": str(decision.PREDICTIONS.parent), "md5": dvc.md5(decision.PREDICTIONS.parent)}
    dvc.LOCK.write_text(yaml.safe_dump({"stages": {"baseline": {"outs": [out]}}}), encoding="utf-8")


def _version(name: str) -> str:
    with tracking.stage_run("register", {}, "benchmark") as run:
        return registry.register_version(
            run.id,
            name,
            data_path=Path("served"),
            loader_module="components.serving.pyfunc",
            code_path=ROOT / "components",
            example=register.EXAMPLE,
            answer=pd.DataFrame({"value": [1.0], "low": [1.0], "high": [1.0]}),
            options={"point": "median"},
            requirements=["pandas"],
            evidence=[Path("evaluate.json"), Path("quantize.json")],
            card="# A benchmark",
            tags={gate_rows.ROWS: registry.sha256(gate_rows.GATE)},
        )


def _intervals(rows: int, section: dict[str, Any]) -> None:
    gains = np.random.default_rng(SEED).normal(1.0, 30.0, rows)
    draws, error_rate = section["bootstrap"], section["error_rate"]

    def scipys(method: str) -> tuple[float, float]:
        ends = bootstrap(
            (gains,),
            np.mean,
            n_resamples=draws,
            confidence_level=1 - 2 * error_rate,
            method=method,
            batch=200,
            rng=np.random.default_rng(SEED),
        ).confidence_interval
        return float(ends.low), float(ends.high)

    def plain() -> tuple[float, float]:
        values, samples = gains.tolist(), random.Random(SEED)
        means = sorted(sum(samples.choices(values, k=rows)) / rows for _ in range(draws))
        return means[int(error_rate * draws)], means[int((1 - error_rate) * draws)]

    own, own_seconds = _timed(
        lambda: interval(gains, np.arange(rows), error_rate, bootstrap=draws, seed=SEED)
    )
    print(f"its interval, {draws} resamples: {own_seconds:.2f} s, {own[0]:+.2f} to {own[1]:+.2f}")
    for name, method in (
        ("scipy.stats.bootstrap, percentile", lambda: scipys("percentile")),
        ("scipy.stats.bootstrap, BCa", lambda: scipys("BCa")),
        ("a loop in plain Python", plain),
    ):
        ends, seconds = _timed(method)
        print(f"  {name}: {seconds / own_seconds:.1f} times as long, {ends[0]:+.2f} to {ends[1]:+.2f}")


def _timed(work: Callable[[], tuple[float, float]]) -> tuple[tuple[float, float], float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


if __name__ == "__main__":
    main()
