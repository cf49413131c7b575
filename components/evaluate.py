"""Every candidate on the same rows: measures, the winner, and a page for people.

Reads validation and test of artifacts/curate, artifacts/baseline/predictions.parquet, the base, the
adapters in artifacts/sft and artifacts/align/<method>, and artifacts/scrape/law.parquet. Writes
artifacts/evaluate/ (predictions of all candidates, winner.json, pictures, report.html) and
reports/evaluate.json. Whatever is chosen is chosen on validation; test is only reported.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from components import modeling, pictures, pricing, report, scoring, stage
from components.measures import paired_difference, rank
from components.params import Evaluate
from components.records import SCORED, Prediction

BASELINE, MODEL = "baseline", "language-model"
WORST = 5  # rows shown on the page


def answers(
    name: str,
    items: pd.DataFrame,
    base: Path,
    adapter: Path,
    section: Evaluate,
    *,
    price_max: int,
    prompt_tokens: int,
) -> pd.DataFrame:
    """Rows of `Prediction` by one adapter: the median of its price distribution and the ends of its
    central interval. The model is gone from memory when this returns.
    """
    model, tokenizer = modeling.load_model(base, adapter), modeling.load_tokenizer(base)
    tail = (1 - section.interval) / 2
    quantiles = scoring.ask(
        model,
        tokenizer,
        [pricing.prompt(text) for text in items["text"]],
        [0.5, tail, 1 - tail],
        price_max=price_max,
        prompt_tokens=prompt_tokens,
        batch_size=section.batch_size,
        title=name,
    )
    del model
    gc.collect()
    return scoring.predictions(name, items, *quantiles.T)


def judge(
    rows: pd.DataFrame,
    models: list[str],
    items: pd.DataFrame,
    law: pd.DataFrame,
    section: Evaluate,
    barred: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The report: measures of each candidate in `rows` (columns of `Prediction`), winner, noise floor.

    `models` names the candidates that are tuned language models; the winner is the best of them on
    validation by `measures.rank`, the best baseline likewise of the others. `items` are the scored rows
    (`Item`), `law` is the table of `Law`, maybe empty. A `barred` candidate is measured but cannot win.
    """
    measured = scoring.score_all(rows, section)
    candidates = {
        name: {"kind": MODEL if name in models else BASELINE, **by_split}
        for name, by_split in measured.items()
    }
    winner, best_baseline = _best(candidates, MODEL, barred), _best(candidates, BASELINE)
    floor = scoring.noise_floor(items, law, section)
    won = rows[(rows["candidate"] == winner) & (rows["split"] == "test")]
    return {
        "headline": headline(candidates, winner, best_baseline, floor),
        "winner": winner,
        "best_baseline": best_baseline,
        "noise_floor": floor,
        "winner_minus_best_baseline": {
            split: _difference(rows[rows["split"] == split], winner, best_baseline, section)
            for split in SCORED
        },
        "candidates": candidates,
        "error_by_band": scoring.by_band(won, section.bands),
        "error_by_category": scoring.by_category(won, items, section.categories),
    }


def headline(
    candidates: dict[str, Any], winner: str, best_baseline: str, floor: dict[str, Any] | None
) -> str:
    """The result in one line; it begins with the bad news where a baseline does better on validation."""
    won, beaten = candidates[winner], candidates[best_baseline]
    on_test = won["test"]
    ours = f"test MAE {_dollars(on_test['mae'])}"
    if on_test["mae"] is not None:
        ours += f" ({_dollars(on_test['mae_low'])} to {_dollars(on_test['mae_high'])})"
    theirs = _dollars(beaten["test"]["mae"])
    against = f", noise floor {_dollars(floor['test']['mae'])}" if floor else ""
    if rank(beaten["validation"]) < rank(won["validation"]):
        better, worse = (_dollars(one["validation"]["mae"]) for one in (beaten, won))
        return (
            f"A baseline does better: on validation {best_baseline} errs {better} and {winner}, the best "
            f"language model, {worse}; {winner} has {ours}, {best_baseline} {theirs}{against}"
        )
    return f"{winner} wins: {ours}, best baseline {best_baseline} {theirs}{against}"


# --- helpers -----------------------------------------------------------------------------------------


def _best(candidates: dict[str, Any], kind: str, barred: frozenset[str] = frozenset()) -> str:
    names = [name for name, one in candidates.items() if one["kind"] == kind and name not in barred]
    return min(names, key=lambda name: rank(candidates[name]["validation"]))


def _difference(rows: pd.DataFrame, ours: str, theirs: str, section: Evaluate) -> dict[str, Any] | None:
    """MAE of one candidate minus that of another, paired by row; None where no row was answered by both."""
    both = rows.pivot(index="id", columns="candidate", values="predicted")[[ours, theirs]].dropna()
    if both.empty:
        return None
    true = rows.drop_duplicates("id").set_index("id")["price"].reindex(both.index)
    mean, low, high = paired_difference(
        true.to_numpy(float),
        both[ours].to_numpy(float),
        both[theirs].to_numpy(float),
        bootstrap=section.bootstrap,
        seed=section.seed,
    )
    return {"mean": mean, "low": low, "high": high}


def _dollars(value: float | None) -> str:
    return "nothing readable" if value is None else f"${value:.2f}"


def worse_than_sft(methods: Iterable[str], folder: Path) -> frozenset[str]:
    """The aligned candidates whose verdict says that they may not win."""
    verdicts = {name: json.loads((folder / name / "verdict.json").read_text("utf-8")) for name in methods}
    return frozenset(name for name, one in verdicts.items() if not one["may_win"])


def draw(rows: pd.DataFrame, result: dict[str, Any]) -> dict[str, Any]:
    """The figures of the page, by file name."""
    winner, baseline = result["winner"], result["best_baseline"]
    test = rows[rows["split"] == "test"]
    panels = {name: test[test["candidate"] == name] for name in (winner, baseline)}
    return {
        "candidates.png": pictures.candidates(result, "test"),
        "predicted_true.png": pictures.predicted_true(panels, "test"),
        "error_by_band.png": pictures.errors_by_group(
            result["error_by_band"], "band", f"Error of {winner} on test by true price"
        ),
        "error_by_category.png": pictures.errors_by_group(
            result["error_by_category"], "category", f"Error of {winner} on test by category"
        ),
    }


def worst(rows: pd.DataFrame, items: pd.DataFrame, candidate: str) -> pd.DataFrame:
    """The WORST rows of test for a candidate, unreadable answers first, with `text`, `title`, `error`."""
    own = rows[(rows["candidate"] == candidate) & (rows["split"] == "test")]
    own = own.assign(error=(own["predicted"] - own["price"]).abs())
    ranked = own.sort_values("error", ascending=False, na_position="first", kind="stable")
    return ranked.head(WORST).merge(items[["id", "title", "text"]], on="id")


def main() -> None:
    """Score every candidate, judge, draw, write."""
    with stage.run("evaluate") as frame:
        params, artifacts = frame.params, Path("artifacts")
        curated = [stage.read(artifacts / "curate" / f"{split}.parquet") for split in SCORED]
        items = pd.concat(curated, ignore_index=True)
        adapters = {"sft": artifacts / "sft"}
        adapters |= {method: artifacts / "align" / method for method in params.align.methods}
        options = {"price_max": int(params.curate.price_max), "prompt_tokens": params.sft.prompt_tokens}
        tables = [stage.read(artifacts / "baseline" / "predictions.parquet")]
        for name, adapter in adapters.items():
            tables.append(answers(name, items, artifacts / "base", adapter, params.evaluate, **options))
        rows = pd.concat(tables, ignore_index=True)
        law = stage.read(artifacts / "scrape" / "law.parquet")
        barred = worse_than_sft(params.align.methods, artifacts / "align")
        result = judge(rows, list(adapters), items, law, params.evaluate, barred)

        frame.save("predictions.parquet", rows, Prediction)
        drawn = {name: frame.picture(figure, name) for name, figure in draw(rows, result).items()}
        page = report.page(result, worst(rows, items, result["winner"]), drawn, params.evaluate)
        (frame.folder / "report.html").write_text(page, encoding="utf-8")
        winner = {"winner": result["winner"], "adapter": adapters[result["winner"]].as_posix()}
        (frame.folder / "winner.json").write_text(json.dumps(winner, indent=2) + "\n", encoding="utf-8")
        frame.tracked.artifact(frame.folder / "report.html")
        frame.report(result)


if __name__ == "__main__":
    main()
