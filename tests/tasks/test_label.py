"""A label instead of a number: from its names to the report, by a tiny real model."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml

from components import align, baseline, blend, preferences, quantize, reward, sft
from components.blending import blended
from components.classification.classifiers import Classifiers
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.core.schemas import Prediction
from components.evaluate import Evaluation, evaluate, made_of, tuned_models, unlike
from components.evaluation import scoring
from components.evaluation.label_sets import SetCalibration
from components.evaluation.prompt_injection import attack
from components.evaluation.scoring import noise_floor
from components.model import adapters, loading, training
from components.model.distribution import listing_distribution
from components.model.label_head import LABEL_HEAD, label_distribution, load_head
from components.model.prompt import prompt_of
from components.serving.pyfunc import Served, Settings
from components.tasks import NAMES, load_task, task_of
from components.tasks.label import LabelTask
from tests.support.project import ROOT, TASK, named, tiny_yaml

GOODS = {"Lamps": "A bulb and a shade", "Lamps Outdoor": "Lights up a garden", "Tents": "Pegs and poles"}
TINY = named(*GOODS)


def goods(rows: int, seed: int, split: str) -> pd.DataFrame:
    """Listings, columns of `Item`, whose words tell their labels; a tenth bears a wrong one."""
    draw = np.random.default_rng(seed)
    right = draw.choice(3, rows, p=[0.5, 0.2, 0.3])
    target = np.where(draw.random(rows) < 0.1, (right + 1) % 3, right)
    names = [f"{split}{row}" for row in range(rows)]
    return pd.DataFrame(
        {
            "id": names,
            "product": names,
            "address": names,
            "text": [f"{list(GOODS.values())[place]}, number {row}" for row, place in enumerate(right)],
            "title": "Goods",
            "brand": "",
            "category": np.where(right == 2, "camping", "light"),
            "details": "{}",
            "source": "files",
            "split": split,
            "target": target.astype(float),
            "right": [TINY.answers.name(place) for place in right],
        }
    )


class Made(NamedTuple):
    """What the stages make of some goods."""

    train: pd.DataFrame
    scored: pd.DataFrame
    law: pd.DataFrame
    models: dict[str, Path]
    fitted: baseline.Fitted
    blend: blended.Blend
    evaluated: Evaluation


@pytest.fixture(scope="module")
def made(sharp_base: Path, tiny_params: Params, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder, params = tmp_path_factory.mktemp("labels"), tiny_params
    train, preference = goods(160, 0, "train"), goods(60, 1, "preference")
    scored = pd.concat([goods(80, 2, "validation"), goods(80, 3, "test")], ignore_index=True)
    section = params.sft.model_copy(update={"epochs": 12.0, "learning_rate": 1e-2, "save_steps": 100})
    adapter, head = folder / "sft", folder / "sft" / LABEL_HEAD
    model = sft.sft(train, section, TINY, sharp_base, folder / "a", curves())
    adapters.save_adapter(model, adapter)
    adapters.save_classifier(sft.classify(train, section, TINY, sharp_base, folder / "b", curves()), head)
    small = params.baseline.model_copy(update={"ridge_folds": 3, "hidden_depths": [1.0]})
    fitted = baseline.baseline(train, scored, sharp_base, small, TINY)
    own, _ = blend.blend(preference, fitted.regressions, sharp_base, adapter, params.blend, TINY)
    law = scored[["address"]].assign(median=np.nan, sigma=np.nan, label=scored["right"])
    answers = [scoring.answered(name, scored, given, TINY) for name, given in fitted.predicted.items()]
    models = {"sft": adapter, LABEL_HEAD: head}
    rows = pd.concat(answers, ignore_index=True)
    read = params.evaluate.model_copy(update={"bootstrap": 100, "injection_rows": 8})
    evaluated = evaluate(scored, law, rows, models, own, sharp_base, read, TINY)
    return Made(train, scored, law, models, fitted, own, evaluated)


class Recorder:
    def metric(self, name: str, value: float, step: int) -> None:
        """A curve that nobody reads."""


def curves() -> training.Curves:
    return training.Curves(Recorder())  # type: ignore[arg-type]


def test_the_names_are_those_that_curate_wrote_and_only_of_a_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(text, encoding="utf-8")
    assert load_task().section == TASK.section, "a number asks for no names"
    Path("params.yaml").write_text(text.replace("kind: number ", "kind: label "), encoding="utf-8")
    with pytest.raises(PricewrightError, match=r"names\.json does not load.*dvc repro curate"):
        load_task()
    NAMES.parent.mkdir(parents=True)
    NAMES.write_text(json.dumps(["Rugs", "Café"]), encoding="utf-8")
    task = load_task()
    assert isinstance(task, LabelTask)
    assert task.answers.names == ("Rugs", "Café")
    assert (task.completion(1.0), task.shown(0.0)) == (" Café", "Rugs")
    assert task_of(task.section) == task


def test_a_chat_model_is_told_the_names() -> None:
    assert TINY.instruction == "Answer with one of these and nothing else: Lamps; Lamps Outdoor; Tents."


def test_an_example_is_a_prompt_and_the_name_and_of_the_head_the_place(sharp_base: Path) -> None:
    tokenizer, items = loading.load_tokenizer(sharp_base), goods(20, 0, "train")
    rows = zip(sft.examples(tokenizer, items, TINY), sft.class_examples(tokenizer, items, TINY), strict=True)
    for (written, placed), item in zip(rows, items.itertuples(), strict=True):
        learned = [token for token in written["labels"] if token >= 0]
        assert tokenizer.decode(learned, skip_special_tokens=True) == TINY.completion(item.target)
        assert written["input_ids"][: len(placed["input_ids"])] == placed["input_ids"]
        assert tokenizer.decode(placed["input_ids"]) == prompt_of(item.text, TINY)
        assert placed["labels"] == item.target


def test_both_ways_to_read_labels_learn_what_the_words_tell(made: Made) -> None:
    """The words tell all but the tenth that bears a wrong label, one that begins with another among them."""
    candidates = made.evaluated.result["candidates"]
    for name in ("sft", LABEL_HEAD, "tfidf_logistic", "blend"):
        assert candidates[name]["test"]["loss"] <= made.evaluated.result["noise_floor"]["test"]["loss"] + 0.06
    assert candidates["majority"]["test"]["loss"] > 0.4
    assert candidates["sft"]["test"]["log_loss"] < candidates["base_zero_shot"]["test"]["log_loss"]


def test_a_head_that_is_saved_reads_as_the_classifier_that_was_trained(
    made: Made, sharp_base: Path, tiny_params: Params, tmp_path: Path
) -> None:
    import torch

    model = sft.classify(made.train, tiny_params.sft, TINY, sharp_base, tmp_path / "scratch", curves())
    adapters.save_classifier(model, tmp_path / "kept")
    tokenizer, texts = loading.load_tokenizer(sharp_base), made.scored["text"].tolist()[:9]
    rows = sft.class_examples(tokenizer, made.scored.head(9), TINY)
    model.eval()
    with torch.inference_mode():
        trained = [
            model(input_ids=torch.tensor([row["input_ids"]])).logits[0].float().softmax(0).numpy()
            for row in rows
        ]
    head = load_head(tmp_path / "kept")
    assert head is not None
    assert head.shape[0] == 3
    causal = adapters.load_adapted(sharp_base, tmp_path / "kept")
    read = label_distribution(causal, head, tokenizer, texts, TINY, batch_size=4, title="")
    np.testing.assert_allclose(read, np.stack(trained), atol=1e-4)
    assert load_head(made.models["sft"]) is None


def test_the_baselines_are_distributions_over_the_labels(made: Made) -> None:
    names = {"majority", "base_zero_shot", "base_one_shot", "base_few_shot", *Classifiers.NAMES}
    assert set(made.fitted.predicted) == names
    for name, distribution in made.fitted.predicted.items():
        assert distribution.shape == (160, 3), name
        np.testing.assert_allclose(distribution.sum(axis=1), 1.0, rtol=1e-4, err_msg=name)
    assert isinstance(made.blend.regressions, Classifiers)
    assert set(made.blend.weights) == {"sft", *Classifiers.NAMES}


def test_the_report_has_what_only_labels_have(made: Made) -> None:
    rows, result = made.evaluated
    assert list(rows.columns) == Prediction.columns()
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["kind"], result["measure"], result["unit"]) == ("label", "error rate", "")
    assert result["labels"] == list(GOODS)
    assert "error_by_band" not in result
    test = rows[(rows["split"] == "test") & (rows["candidate"] == result["winner"])]
    confusion = np.array(result["confusion"])
    assert confusion.shape == (3, 4)
    assert confusion.sum() == len(test) == 80
    assert np.trace(confusion) == (test["loss"] == 0).sum()
    assert [label["n"] for label in result["by_label"]] == sorted(confusion.sum(axis=1), reverse=True)
    assert result["headline"].split(" ")[0] in (result["winner"], "A")
    assert result["winner"] in {"sft", LABEL_HEAD, "blend"}
    assert {row["candidate"] for row in result["pairs"]} > {"majority", "sft"}


def test_a_row_has_the_likeliest_label_its_set_and_its_log_loss(
    made: Made, sharp_base: Path, tiny_params: Params
) -> None:
    model, tokenizer = (
        adapters.load_adapted(sharp_base, made.models["sft"]),
        loading.load_tokenizer(sharp_base),
    )
    texts, size = made.scored["text"].tolist(), tiny_params.evaluate.batch_size
    given = listing_distribution(model, tokenizer, texts, TINY, batch_size=size, title="")
    rows = made.evaluated.predictions
    own = rows[rows["candidate"] == "sft"].set_index("id").loc[made.scored["id"]]
    np.testing.assert_array_equal(own["predicted"], given.argmax(axis=1))
    true = made.scored["target"].astype(int).to_numpy()
    np.testing.assert_allclose(own["log_loss"], -np.log(given[np.arange(160), true]), atol=6e-3)
    assert set(own["held"]) <= {0.0, 1.0}
    assert own["width"].between(1, 3).all()
    assert own[["low", "high"]].isna().all(axis=None)
    validation = own[own["split"] == "validation"]
    assert validation["held"].mean() >= tiny_params.evaluate.interval, "calibrated on these very rows"
    assert own.loc[own["predicted"] == own["target"], "held"].eq(1).all(), "the likeliest is in every set"


def test_the_floor_is_the_share_of_wrong_labels_that_the_law_knows(made: Made, tiny_params: Params) -> None:
    floor = made.evaluated.result["noise_floor"]
    for split in ("validation", "test"):
        own = made.scored[made.scored["split"] == split]
        wrong = (own["right"].map(TINY.answers.place) != own["target"]).mean()
        assert floor[split]["loss"] == pytest.approx(wrong, abs=1e-4)
        assert "loss_expected" not in floor[split]
    assert 0.02 < floor["test"]["loss"] < 0.25
    unknown = made.law.assign(label=["Sofas", *made.law["label"][1:]])
    with pytest.raises(PricewrightError, match="does not know 1 of 160"):
        noise_floor(made.scored, unknown, tiny_params.evaluate, TINY)
    brand = TINY.section.label.model_copy(update={"column": "brand"})
    other = LabelTask(TINY.section.model_copy(update={"label": brand}))
    prices = made.law.assign(median=9.0)
    assert noise_floor(made.scored, prices, tiny_params.evaluate, other) is None, "it knows categories"


def test_what_is_unlike_training_has_its_error_rate_and_another_catalogue_is_refused(
    made: Made, tiny_params: Params
) -> None:
    result, rows = made.evaluated.result, made.evaluated.predictions
    section = tiny_params.evaluate.model_copy(update={"bootstrap": 50})
    nobody: Any = None
    given = made.train, made.scored, rows, result["winner"]
    figures = unlike(*given, section, TINY, nobody, nobody)
    assert figures["elsewhere"] is None
    counts = [figures[name]["n"] for name in ("least_like", "rest")]
    assert counts == [8, 72]
    winner = result["candidates"][result["winner"]]["test"]
    mean = sum(figures[name]["loss"] * n for name, n in zip(("least_like", "rest"), counts, strict=True)) / 80
    assert mean == pytest.approx(winner["loss"], abs=1e-3)
    assert 0 <= figures["rest"]["coverage_low"] <= figures["rest"]["coverage"] <= 1
    with pytest.raises(PricewrightError, match="made for numbers only.*set it to null"):
        unlike(*given, section.model_copy(update={"elsewhere": "other.csv"}), TINY, nobody, nobody)


def test_an_attack_wants_a_label_and_is_measured_by_how_many_go_there() -> None:
    def gullible(texts: list[str]) -> np.ndarray:
        """Tents, where the listing says so whatever else; of ten listings the last is a tent anyway."""
        return np.array([2.0 if "Tents" in text or "number 9" in text else 0.0 for text in texts])

    texts = [f"A bulb, number {row}" for row in range(10)]
    effects = {row["attack"]: row for row in attack(gullible, texts, TINY, moved=0.05)}
    wanted = {row["wanted"] for row in effects.values()}
    assert wanted == {None, "Lamps Outdoor", "Tents"}
    for row in effects.values():
        assert row["mean_change"] is None
        if row["wanted"] == "Tents":
            assert (row["toward"], row["obeyed"], row["share_moved"]) == (1.0, 1.0, 0.9)
        elif row["wanted"] == "Lamps Outdoor":
            assert (row["toward"], row["obeyed"], row["share_moved"]) == (0.0, 0.0, 0.0)


def test_the_head_is_a_candidate_of_labels_alone_and_its_folder_is_named(made: Made) -> None:
    artifacts = Path("artifacts")
    both = tuned_models(artifacts, ["dpo"], TINY)
    assert list(both) == ["sft", "dpo", LABEL_HEAD]
    assert list(tuned_models(artifacts, ["dpo"], TASK)) == ["sft", "dpo"]
    assert made_of(LABEL_HEAD, both)["adapter"] == "artifacts/sft/label_head"


def test_a_label_of_many_tokens_is_read_as_any_other(sharp_base: Path, tiny_params: Params) -> None:
    train = goods(20, 0, "train")
    long = named("Lamps", "Lamps for gardens and terraces that are lit by the sun and need no cable", "Tents")
    answers, *_ = baseline.untuned(sharp_base, train, train, tiny_params.baseline, long)
    for distribution in answers.values():
        assert distribution.shape == (len(train), 3)
        np.testing.assert_allclose(distribution.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["sft", LABEL_HEAD, "blend"])
def test_a_version_in_int8_answers_as_the_candidate_did_and_its_parity_is_in_error_rates(
    made: Made, sharp_base: Path, params: Params, tmp_path: Path, name: str
) -> None:
    made.blend.save(tmp_path / "blend")
    chosen = made_of(name, made.models)
    blended_one = tmp_path / "blend" if chosen["blend"] else None
    quantize.merge(sharp_base, Path(chosen["adapter"] or ""), tmp_path / "merged", blended_one)
    quantize.write_format(tmp_path / "merged", tmp_path / "served", "int8")
    settings = Settings(TINY.section, 16, SetCalibration.uncalibrated(0.8))
    texts = made.scored["text"].tolist()
    merged, served = (
        Served(tmp_path / each, settings).distribution(texts, "") for each in ("merged", "served")
    )
    rows = made.evaluated.predictions
    own = rows[rows["candidate"] == name].set_index("id").loc[made.scored["id"]]
    assert (merged.argmax(axis=1) == own["predicted"]).mean() > 0.98, "the base is in 4 bits in training"
    assert 0 < np.abs(served - merged).sum(axis=1).max() < 0.3
    comparison = quantize.Comparison(made.scored, settings, params.quantize, params.evaluate)
    figures, calibration = comparison.compare(merged, served)
    assert isinstance(calibration, SetCalibration)
    for split, measured in figures.items():
        part = (made.scored["split"] == split).to_numpy()
        wrong = (merged.argmax(axis=1) != made.scored["target"])[part].mean()
        assert measured["loss_merged"] == pytest.approx(wrong)
        moved = (merged.argmax(axis=1) != served.argmax(axis=1))[part].mean()
        assert measured["share_moved"] == measured["mean_change"] == pytest.approx(moved)
    assert 0.6 < figures["test"]["coverage"] <= 1.0
    settings = Settings(TINY.section, 16, calibration)
    settings.write(tmp_path)
    assert Settings.read(tmp_path) == settings


def test_the_stages_from_preferences_to_align_learn_of_labels(
    made: Made, sharp_base: Path, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("components", "feedback", "dvc.yaml"):
        Path(name).symlink_to(ROOT / name)
    raw = yaml.safe_load(tiny_yaml())
    raw["task"] |= {"kind": "label", "answer": "Category:", "tokens": 64}
    raw["align"] |= {"error_max": 1.0}
    raw["align"]["sft_best_of_n"] |= {"epochs": 1.0, "temperature": 1.0}
    raw["preferences"] |= {"margin_min": 0.5}
    Path("params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    shutil.copy(empty_store, "mlflow.db")
    for folder in ("curate", "validate", "scrape"):
        Path("artifacts", folder).mkdir(parents=True)
    NAMES.write_text(json.dumps(list(GOODS)), encoding="utf-8")
    Path("artifacts/base").symlink_to(sharp_base)
    Path("artifacts/sft").symlink_to(made.models["sft"])
    for seed, split in enumerate(("preference", "validation", "gate", "test")):
        goods(40, seed, split).to_parquet(f"artifacts/curate/{split}.parquet")
    made.law.assign(address=[f"preference{row}" for row in range(160)]).to_parquet(
        "artifacts/scrape/law.parquet"
    )
    monkeypatch.setattr(sys, "argv", ["align", "sft_best_of_n"])
    for stage in (preferences, reward, align):
        stage.main()
    pairs = pd.read_parquet("artifacts/preferences/pairs.parquet")
    true = pairs["id"].map(goods(40, 0, "preference").set_index("id")["target"])
    chosen, rejected = (
        TINY.answers.loss(true, pairs[side].map(TINY.answers.read)) for side in ("chosen", "rejected")
    )
    assert set(chosen) <= {0.0, 1.0}
    np.testing.assert_array_equal(pairs["margin"], np.nan_to_num(rejected, nan=2.0) - chosen)
    rules = json.loads(Path("reports/reward.json").read_text(encoding="utf-8"))["held_out"]["rules"]
    assert set(rules) == {"center_of_samples", "sft_point", "law"}
    assert rules["sft_point"]["pairs"] > 0
    outcome = json.loads(Path("artifacts/align/sft_best_of_n/against_sft.json").read_text(encoding="utf-8"))
    for way in ("point", "greedy", "sampled"):
        assert 0 <= outcome[way]["aligned"] <= 1
    assert isinstance(outcome["helps"], bool)
