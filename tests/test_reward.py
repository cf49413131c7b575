"""The reward model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components import reward as stage_file
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.core.schemas import Pair
from components.model import adapters, loading, training
from components.model.examples import labelled
from components.model.prompt import prompt_of
from tests.support.project import TASK, asked, named, whole
from tests.support.prompts import as_ids
from tests.support.reward import no_start


def planted(items: pd.DataFrame, chosen: str, rejected: str) -> pd.DataFrame:
    rows = [
        Pair(
            id=item.id,
            prompt=prompt_of(item.text, TASK),
            chosen=chosen,
            rejected=rejected,
            margin=9,
            origin="truth",
        )
        for item in items.itertuples()
    ]
    return stage_file.with_products(pd.DataFrame([row.model_dump() for row in rows]), items)


def test_a_planted_preference_is_learned_and_the_head_trains(
    tiny_base: Path,
    tiny_adapter: Path,
    tiny_params: Params,
    tiny_items: pd.DataFrame,
    tmp_path: Path,
    recorder: Any,
) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    pairs = as_ids(tokenizer, planted(tiny_items, "100", "900"))
    kept, held_out = stage_file.split_by_product(pairs, 0.25, 0)
    model = adapters.load_reward_model(tiny_base, tiny_adapter, tokenizer.pad_token_id)
    head = next(weight for name, weight in model.named_parameters() if "score.modules_to_save" in name)
    before = head.detach().clone()
    section = tiny_params.reward.model_copy(update={"epochs": 6.0, "learning_rate": 5e-3, "batch_size": 8})
    model = stage_file.reward(
        kept, no_start(kept), section, model, tokenizer, tmp_path, training.Curves(recorder)
    )
    assert not np.allclose(head.detach().numpy(), before.numpy())
    prices = tiny_items.set_index("id")["target"]
    measured, completions = stage_file.held_out_report(
        model, tokenizer, held_out, no_start(held_out), prices, whole(999), 8
    )
    assert measured["accuracy"] > 0.9
    assert measured["completions"] == len(completions) == 2 * len(held_out)
    first = completions.iloc[0]
    assert first["error"] == abs(float(first["text"]) - prices[first["id"]])
    adapters.save_adapter(model, tmp_path / "saved")
    assert (tmp_path / "saved" / "adapter_model.safetensors").is_file()


def noisy(tokenizer: Any, prompts: int, noise: float, seed: int) -> pd.DataFrame:
    """The same of two prices is better for every prompt, but a share of the labels is flipped."""
    flipped = np.random.default_rng(seed).random(prompts) < noise
    pairs = pd.DataFrame(
        {
            "id": [str(number) for number in range(prompts)],
            "product": [str(number) for number in range(prompts)],
            "prompt": prompt_of("word", TASK),
            "chosen": np.where(flipped, "900", "100"),
            "rejected": np.where(flipped, "100", "900"),
            "margin": 9.0,
            "origin": "truth",
        }
    )
    return as_ids(tokenizer, pairs)


def test_planted_preferences_with_label_noise_give_the_right_order_and_a_calibrated_probability(
    tiny_base: Path, tiny_adapter: Path, tiny_params: Params, tmp_path: Path, recorder: Any
) -> None:
    noise = 0.2
    tokenizer = loading.load_tokenizer(tiny_base)
    model = adapters.load_reward_model(tiny_base, tiny_adapter, tokenizer.pad_token_id)
    changes = {"epochs": 4.0, "learning_rate": 2e-3, "batch_size": 32}
    section = tiny_params.reward.model_copy(update=changes)
    pairs = noisy(tokenizer, 480, noise, 0)
    model = stage_file.reward(
        pairs, no_start(pairs), section, model, tokenizer, tmp_path, training.Curves(recorder)
    )
    held_out = noisy(tokenizer, 400, noise, 1)
    report, _ = stage_file.held_out_report(
        model, tokenizer, held_out, no_start(held_out), pd.Series(dtype=float), whole(999), 64
    )
    print({name: report[name] for name in ("accuracy", "calibration")})
    assert report["accuracy"] == (held_out["chosen"] == "100").mean()  # the right order, and no label more
    assert report["calibration"]["confidence"] == pytest.approx(1 - noise, abs=0.06)
    assert report["calibration"]["expected_error"] < 0.06


def test_a_pair_that_just_fits_the_context_is_kept_and_a_longer_one_is_not(tiny_base: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    prompt = prompt_of("word", TASK)
    pairs = pd.DataFrame({"prompt": prompt, "chosen": "7", "rejected": ["8", "1 1 1"]})
    pairs = as_ids(tokenizer, pairs)
    whole = stage_file.token_pairs(tokenizer, pairs)
    assert len(whole[1]["rejected_ids"]) > len(whole[0]["rejected_ids"])
    tokenizer.model_max_length = len(whole[0]["rejected_ids"])
    assert stage_file.too_long(tokenizer, pairs).tolist() == [False, True]


def test_an_unreadable_completion_is_counted_and_has_no_error(
    tiny_base: Path, tiny_adapter: Path, tiny_items: pd.DataFrame
) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    model = adapters.load_reward_model(tiny_base, tiny_adapter, tokenizer.pad_token_id)
    pairs = as_ids(tokenizer, planted(tiny_items[:3], "100", "cheap"))
    prices = tiny_items.set_index("id")["target"]
    report, completions = stage_file.held_out_report(
        model, tokenizer, pairs, no_start(pairs), prices, whole(999), 8
    )
    assert report["unreadable"] == completions["error"].isna().sum() == 3
    assert report["mean_reward_unreadable"] == pytest.approx(
        completions["reward"][completions["text"] == "cheap"].mean()
    )


def test_the_score_of_a_row_does_not_depend_on_its_batch(tiny_base: Path, tiny_adapter: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    model = adapters.load_reward_model(tiny_base, tiny_adapter, tokenizer.pad_token_id)
    prompts = [prompt_of("word " * length, TASK) for length in (1, 8, 3)]
    rows = [labelled(tokenizer, prompt, "12", 512)["input_ids"] for prompt in prompts]
    together = stage_file.scores(model, rows, 3, tokenizer.pad_token_id)
    alone = [stage_file.scores(model, [row], 1, tokenizer.pad_token_id)[0] for row in rows]
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-4)


def test_no_product_is_on_both_sides_of_the_split(tiny_items: pd.DataFrame) -> None:
    items = tiny_items.assign(product=[f"p{row // 2}" for row in range(len(tiny_items))])
    pairs = pd.concat([planted(items, "1", "2"), planted(items, "3", "4")])
    kept, held_out = stage_file.split_by_product(pairs, 0.2, 1)
    assert set(kept["product"]).isdisjoint(held_out["product"])
    assert set(kept["id"]).isdisjoint(held_out["id"])
    assert len(kept) + len(held_out) == len(pairs)
    assert held_out["product"].nunique() == round(0.2 * len(items) / 2)


def test_a_prompt_of_no_item_is_a_product_of_its_own(tiny_items: pd.DataFrame) -> None:
    pairs = pd.DataFrame({"id": [tiny_items["id"][0], "elsewhere"]})
    products = stage_file.with_products(pairs, tiny_items)["product"]
    assert products.tolist() == [tiny_items["product"][0], "elsewhere"]


def test_one_product_is_too_few(tiny_items: pd.DataFrame) -> None:
    with pytest.raises(PricewrightError, match="too few"):
        stage_file.split_by_product(planted(tiny_items[:1], "1", "2"), 0.2, 1)


def test_with_a_few_hundred_pairs_the_model_is_as_right_as_what_it_starts_from(
    tiny_base: Path, tiny_adapter: Path, tiny_params: Params, tmp_path: Path, recorder: Any
) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    draw = np.random.default_rng(3)
    sides = draw.integers(1, 999, (300, 2))
    centre = draw.integers(50, 800, 300)  # what the SFT model knows, and no prompt tells
    order = np.abs(sides - centre[:, None]).argsort(axis=1)
    ranked = np.take_along_axis(sides, order, axis=1).astype(str)
    pairs = pd.DataFrame({"id": [str(row) for row in range(300)], "prompt": prompt_of("word", TASK)})
    pairs = pairs.assign(
        chosen=ranked[:, 0], rejected=ranked[:, 1], margin=9.0, origin="truth", product=pairs["id"]
    )
    pairs = as_ids(tokenizer, pairs)
    start = {side: -np.abs(pairs[side].astype(float).to_numpy() - centre) / 100 for side in stage_file.SIDES}
    kept = {side: values[:230] for side, values in start.items()}
    left = {side: values[230:] for side, values in start.items()}
    model = adapters.load_reward_model(tiny_base, tiny_adapter, tokenizer.pad_token_id)
    curves, prices = training.Curves(recorder), pd.Series(dtype=float)
    model = stage_file.reward(pairs[:230], kept, tiny_params.reward, model, tokenizer, tmp_path, curves)
    report, _ = stage_file.held_out_report(model, tokenizer, pairs[230:], left, prices, whole(999), 64)
    assert report["accuracy"] > 0.9
    assert report["by_origin"] == {"truth": report["accuracy"]}
    alone, _ = stage_file.held_out_report(
        model, tokenizer, pairs[230:], no_start(pairs[230:]), prices, whole(999), 64
    )
    assert alone["accuracy"] < 0.7


def test_the_rules_read_samples_distribution_and_law() -> None:
    items = pd.DataFrame({"id": ["a", "b"], "address": ["/a", "/b"]})
    sampled = pd.DataFrame(
        {"id": ["a", "b"], "prompt": ["pa", "pb"], "completions": [["1", "5", "cheap", "6"], ["cheap"]]}
    )
    law = pd.DataFrame({"address": ["/b"], "median": [3.0]})
    masses = np.eye(10)[[7, 2]]
    task = asked(tokens=64, maximum=9)
    centers = stage_file.centers_of(sampled, items, law, lambda prompts: whole(9).median(masses), task)
    assert centers["center_of_samples"]["a"] == 5
    assert centers["sft_point"].to_dict() == {"a": 7.0, "b": 2.0}
    pairs = pd.DataFrame({"id": ["a", "b", "z"], "chosen": ["5", "1", "1"], "rejected": ["7", "3", "2"]})
    result = stage_file.rules(pairs, centers, task.answers)
    assert result == {
        "center_of_samples": {"accuracy": 1.0, "pairs": 1},
        "sft_point": {"accuracy": 0.25, "pairs": 2},
        "law": {"accuracy": 0.0, "pairs": 1},
    }


def test_the_rules_of_labels_are_by_the_commonest_sample_the_likeliest_label_and_the_law() -> None:
    task = named("lamps", "rugs", "tents")
    items = pd.DataFrame({"id": ["a", "b"], "address": ["/a", "/b"]})
    texts = [[" rugs", " tents", "?", " rugs"], ["?", "none"]]
    sampled = pd.DataFrame({"id": ["a", "b"], "prompt": ["pa", "pb"], "completions": texts})
    law = pd.DataFrame({"address": ["/a", "/b"], "label": ["lamps", "sofas"]})
    masses = np.array([[0.1, 0.2, 0.7], [0.6, 0.2, 0.2]])
    centers = stage_file.centers_of(sampled, items, law, lambda _: task.answers.point(masses), task)
    assert centers["center_of_samples"].fillna(-1).to_dict() == {"a": 1.0, "b": -1.0}
    assert centers["sft_point"].to_dict() == {"a": 2.0, "b": 0.0}
    assert centers["law"].fillna(-1).tolist() == [0.0, -1.0], "sofas are none of the labels"
    pairs = pd.DataFrame({"id": ["a", "b"], "chosen": [" lamps", " lamps"], "rejected": [" rugs", "?"]})
    assert stage_file.rules(pairs, centers, task.answers) == {
        "center_of_samples": {"accuracy": 0.0, "pairs": 1},
        "sft_point": {"accuracy": 0.75, "pairs": 2},
        "law": {"accuracy": 1.0, "pairs": 1},
    }
