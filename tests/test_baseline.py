"""The baselines: what they are fitted on, that they survive odd data, and the untuned base model."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components import baseline as stage_file
from components.baseline import examples, untuned
from components.core.params.baseline import Baseline
from components.core.params.file import Params
from components.model import loading
from components.model.distribution import answer_distribution
from components.model.prompt import few_shot_prompt, prompt_of
from components.regression.baselines import FAMILIES, WITH_READING, classical, constants
from components.synthetic.catalogue import catalogue, listing_text
from tests.support.project import QUESTION, ROOT, TASK, whole

CLASSICAL = ["linear", "bag_of_words_ridge", "tfidf_ridge", "boosting"]


def shop(rows: int, seed: int, split: str = "train") -> pd.DataFrame:
    """Drives and cables whose price doubles with the capacity, which stands in both text and details."""
    draw = np.random.default_rng(seed)
    size = 2.0 ** draw.integers(3, 8, rows)
    brand = draw.choice(["Acme", "Bolt", "Crux"], rows)
    premium = np.where(brand == "Acme", 2.0, 1.0)
    return pd.DataFrame(
        {
            "id": [f"{split}{row}" for row in range(rows)],
            "text": [
                f"{name} drive with {int(gigabytes)} GB" for name, gigabytes in zip(brand, size, strict=True)
            ],
            "brand": brand,
            "category": "Drives",
            "details": [json.dumps({"Capacity": f"{int(gigabytes)} GB"}) for gigabytes in size],
            "target": np.round(2 * size * premium * np.exp(0.05 * draw.standard_normal(rows)), 2),
            "split": split,
            "product": [f"{split}{row}" for row in range(rows)],
        }
    )


def mean_error(predicted: np.ndarray, items: pd.DataFrame) -> float:
    return float(np.abs(predicted - items["target"]).mean())


def test_every_regression_learns_a_law_that_a_constant_cannot(tiny_params: Params) -> None:
    train, scored = shop(400, 0), shop(100, 1, "validation")
    answers = classical(train, scored, tiny_params.baseline, whole(999))
    constant = mean_error(constants(train, len(scored))["median"], scored)
    assert list(answers) == list(FAMILIES) == CLASSICAL
    for name in CLASSICAL:
        assert mean_error(answers[name], scored) < 0.25 * constant, name


def test_the_constants_are_the_mean_and_the_median_of_train() -> None:
    train = shop(31, 0)
    answers = constants(train, 5)
    assert [len(answer) for answer in answers.values()] == [5, 5]
    assert set(answers["mean"]) == {train["target"].mean()}
    assert set(answers["median"]) == {train["target"].median()}


def test_nothing_is_learned_from_the_rows_that_are_scored(tiny_params: Params) -> None:
    train, scored = shop(60, 0), shop(20, 1, "test")
    answers = classical(train, scored, tiny_params.baseline, whole(999))
    dearer = scored.assign(target=scored["target"] * 7)
    fewer = classical(train, dearer.head(3), tiny_params.baseline, whole(999))
    for name in FAMILIES:
        np.testing.assert_allclose(fewer[name], answers[name][:3], rtol=1e-9, err_msg=name)


def test_the_same_seed_gives_the_same_answers(tiny_params: Params) -> None:
    train, scored = shop(80, 0), shop(20, 1)
    first, second = (classical(train, scored, tiny_params.baseline, whole(999)) for _ in range(2))
    for name in FAMILIES:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_answers_stay_between_nothing_and_the_highest_price(tiny_params: Params) -> None:
    scored = shop(5, 1).assign(details=json.dumps({"Capacity": "9" * 400 + " GB"}))
    answers = classical(shop(200, 0), scored, tiny_params.baseline, whole(99))
    for name, predicted in answers.items():
        assert ((predicted >= 0) & (predicted <= 99)).all(), name


@pytest.mark.filterwarnings("ignore:.* encountered in divide:RuntimeWarning:sklearn.decomposition")
@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"brand": "", "category": "", "details": "{}"}, id="no brand, category, details"),
        pytest.param(
            {"details": json.dumps({"Rank": {"Tarps": 3317}, "Tags": ["a"], "x": None})}, id="nested"
        ),
        pytest.param({"text": "the very same words for everything"}, id="one text"),
        pytest.param({"target": 49.0}, id="one price"),
        pytest.param({"text": "Überzug für Ärmel, 尺寸 大"}, id="other scripts"),
    ],
)
def test_odd_data_is_survived_even_with_thirty_rows(params: Params, odd: dict[str, object]) -> None:
    train, scored = shop(30, 0).assign(**odd), shop(7, 1)
    for name, predicted in classical(train, scored, params.baseline, whole(999)).items():
        assert predicted.shape == (7,), name
        assert np.isfinite(predicted).all(), name


def test_a_brand_and_a_specification_never_seen_in_train_are_survived(tiny_params: Params) -> None:
    scored = shop(4, 1).assign(brand="Nobody", category="Else", details='{"Weight": "3 kg"}')
    answers = classical(shop(50, 0), scored, tiny_params.baseline, whole(999))
    assert all(np.isfinite(predicted).all() for predicted in answers.values())


def with_reading(train: pd.DataFrame, scored: pd.DataFrame, section: Baseline) -> dict[str, np.ndarray]:
    """Answers of the candidates that know what the untuned base predicts, by name."""
    return classical(train, scored, section, whole(999), WITH_READING)


def words(text: str) -> SimpleNamespace:
    """A tokenizer by hand: a token per word."""
    return SimpleNamespace(input_ids=text.split())


def test_examples_come_from_train_and_fit_into_their_room(tiny_params: Params) -> None:
    train = shop(40, 0)
    known = set(zip(train["text"], map(TASK.completion, train["target"]), strict=True))
    chosen = examples(words, train, tiny_params.baseline, TASK, tokens=10_000)
    assert len(chosen) == tiny_params.baseline.shots
    assert set(chosen) <= known
    first = len(words(few_shot_prompt("", chosen[:1], TASK)).input_ids)
    assert len(examples(words, train, tiny_params.baseline, TASK, tokens=first)) == 1
    assert examples(words, train, tiny_params.baseline, TASK, tokens=3) == []


def test_the_untuned_base_predicts_without_and_after_examples_that_cut_no_listing(
    tiny_base: Path, tiny_params: Params, tiny_items: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []

    def recorded(model: Any, tokenizer: Any, prompts: list[str], *answers: Any, **options: Any) -> np.ndarray:
        passes.append((prompts, options["prompt_tokens"]))
        return answer_distribution(model, tokenizer, prompts, *answers, **options)

    monkeypatch.setattr(stage_file, "answer_distribution", recorded)
    train, scored, section = tiny_items.head(40), tiny_items.tail(8), tiny_params.baseline
    answers, *known = untuned(tiny_base, train, scored, section, TASK)
    assert known[0].distribution.shape == (40, 1000)
    np.testing.assert_array_equal(known[1].distribution, answers["base_zero_shot"])

    assert list(answers) == ["base_zero_shot", "base_one_shot", "base_few_shot"]
    for name, distribution in answers.items():
        predicted = TASK.answers.median(distribution)
        assert predicted.shape == (8,), name
        assert ((predicted >= 0) & (predicted <= 999)).all(), name
    (plain, plain_limit), (first, _), (after, after_limit), (on_train, _) = passes
    assert on_train == [prompt_of(text, TASK) for text in train["text"]]
    assert [text.count(QUESTION) for text in first] == [2] * 8
    assert (plain, plain_limit) == ([prompt_of(text, TASK) for text in scored["text"]], 256)
    tokenizer = loading.load_tokenizer(tiny_base)
    for short, long in zip(plain, after, strict=True):
        assert long.endswith(short)
        assert len(long) > len(short), "at least one example fits"
        tokens = min(len(tokenizer(short).input_ids), 256) + len(
            tokenizer(long.removesuffix(short)).input_ids
        )
        assert tokens <= after_limit < tiny_params.base.pretraining.context
    assert [len(each.states) for each in known] == [len(train), len(scored)]
    assert known[0].states.shape[1] == known[1].states.shape[1] > 0


def test_regressions_that_know_the_base_are_fitted_on_the_rows_that_it_has_read(
    tiny_base: Path, tiny_items: pd.DataFrame, tiny_params: Params
) -> None:
    section = tiny_params.baseline.model_copy(update={"read_rows_max": 12, "ridge_folds": 2})
    scored = tiny_items.tail(8)
    fitted = stage_file.baseline(tiny_items.head(40), scored, tiny_base, section, TASK)
    assert len(fitted.regressions.ridge.landmarks) == 12
    assert {len(answers) for answers in fitted.predicted.values()} == {8}
    names = {
        "base_recalibrated",
        "ridge_with_base",
        "hidden_states_ridge",
        "hidden_states_boosting",
        "neighbours",
    }
    assert names | {"boosting"} < set(fitted.predicted)


def test_a_base_whose_answers_are_only_off_by_a_factor_per_category_and_a_slope_is_recalibrated_exactly(
    tiny_params: Params,
) -> None:
    train, scored = (
        shop(rows, seed).assign(category=lambda items: items["brand"]) for rows, seed in ((200, 0), (50, 1))
    )
    factor = {"Acme": 0.5, "Bolt": 3.0, "Crux": 1.0}
    tables = [
        items.assign(reading=np.log(items["category"].map(factor) * items["target"] ** 0.8))
        for items in (train, scored)
    ]
    section = tiny_params.baseline
    answers = with_reading(*tables, section)
    np.testing.assert_allclose(answers["base_recalibrated"], scored["target"], rtol=1e-6)
    assert (
        mean_error(answers["ridge_with_base"], scored)
        < 0.1 * mean_error(classical(train, scored, section, whole(999))["bag_of_words_ridge"], scored) + 1
    )


def test_where_the_base_gives_no_price_a_recalibration_still_answers(tiny_params: Params) -> None:
    train = shop(60, 0).assign(reading=np.nan)
    scored = shop(7, 1).assign(reading=[np.nan, 0.0, 5.0, np.nan, 1.0, 2.0, 3.0], category="Else")
    for options in (train, train.assign(reading=[np.nan, *range(59)])):
        tables = options, scored
        answers = with_reading(*tables, tiny_params.baseline)
        assert all(np.isfinite(predicted).all() for predicted in answers.values())


def test_the_embedded_base_needs_fine_tuning_no_rescaling_of_its_answers_comes_near_the_floor(
    params: Params,
) -> None:
    """A tuned model within 1.12 of the noise floor is then at least 5% better than each of these."""
    products = [product for product in catalogue(seed=12, listings=2200, noise=0.25) if product.price]
    items = pd.DataFrame(
        {
            "text": [listing_text(p.title, p.brand, p.details, p.description) for p in products],
            "category": [product.category for product in products],
            "target": [float(product.price or 0) for product in products],
            "median": [product.median for product in products],
            "product": [product.sku for product in products],
        }
    )
    train, scored = items.head(1500), items.tail(600)
    base = ROOT / "artifacts" / "base"
    section = params.baseline.model_copy(update={"shots": 1})
    _, *known = untuned(base, train, scored, section, TASK)
    tables = [
        items.assign(reading=TASK.answers.scaled(TASK.answers.median(each.distribution)))
        for items, each in zip((train, scored), known, strict=True)
    ]
    rescaled = with_reading(*tables, section)
    floor = float((scored["median"] - scored["target"]).abs().mean())
    for name, predicted in rescaled.items():
        assert mean_error(predicted, scored) > 1.12 * 1.05 * floor, name
