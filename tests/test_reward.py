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
from components.model.prompt import price_prompt
from components.model.tokens import reward_ids
from tests.support.project import QUESTION


def planted(items: pd.DataFrame, chosen: str, rejected: str) -> pd.DataFrame:
    rows = [
        Pair(
            id=item.id,
            prompt=price_prompt(item.text, QUESTION),
            chosen=chosen,
            rejected=rejected,
            margin=9,
            origin="truth",
        )
        for item in items.itertuples()
    ]
    return pd.DataFrame([row.model_dump() for row in rows])


def test_a_planted_preference_is_learned_and_the_head_trains(
    tiny_base: Path,
    tiny_adapter: Path,
    tiny_params: Params,
    tiny_items: pd.DataFrame,
    tmp_path: Path,
    recorder: Any,
) -> None:
    pairs = planted(tiny_items, "100", "900")
    kept, held_out = stage_file.split_by_prompt(pairs, 0.25, 0)
    tokenizer = loading.load_tokenizer(tiny_base)
    model = adapters.load_reward_model(tiny_base, tiny_adapter, tokenizer.pad_token_id)
    head = next(weight for name, weight in model.named_parameters() if "score.modules_to_save" in name)
    before = head.detach().clone()
    section = tiny_params.reward.model_copy(update={"epochs": 6.0, "learning_rate": 5e-3, "batch_size": 8})
    model = stage_file.reward(kept, section, model, tokenizer, tmp_path, training.Curves(recorder))
    assert not np.allclose(head.detach().numpy(), before.numpy())
    prices = tiny_items.set_index("id")["price"]
    measured, completions = stage_file.held_out_report(model, tokenizer, held_out, prices, 8)
    assert measured["accuracy"] > 0.9
    assert measured["completions"] == len(completions) == 2 * len(held_out)
    first = completions.iloc[0]
    assert first["error"] == abs(float(first["text"]) - prices[first["id"]])
    adapters.save_adapter(model, tmp_path / "saved")
    assert (tmp_path / "saved" / "adapter_model.safetensors").is_file()


def noisy(prompts: int, noise: float, seed: int) -> pd.DataFrame:
    """The same of two prices is better for every prompt, but a share of the labels is flipped."""
    flipped = np.random.default_rng(seed).random(prompts) < noise
    return pd.DataFrame(
        {
            "id": [str(number) for number in range(prompts)],
            "prompt": price_prompt("word", QUESTION),
            "chosen": np.where(flipped, "900", "100"),
            "rejected": np.where(flipped, "100", "900"),
            "margin": 9.0,
        }
    )


def test_planted_preferences_with_label_noise_give_the_right_order_and_a_calibrated_probability(
    tiny_base: Path, tiny_adapter: Path, tiny_params: Params, tmp_path: Path, recorder: Any
) -> None:
    noise = 0.2
    tokenizer = loading.load_tokenizer(tiny_base)
    model = adapters.load_reward_model(tiny_base, tiny_adapter, tokenizer.pad_token_id)
    changes = {"epochs": 4.0, "learning_rate": 2e-3, "batch_size": 32}
    section = tiny_params.reward.model_copy(update=changes)
    pairs = noisy(480, noise, 0)
    model = stage_file.reward(pairs, section, model, tokenizer, tmp_path, training.Curves(recorder))
    held_out = noisy(400, noise, 1)
    report, _ = stage_file.held_out_report(model, tokenizer, held_out, pd.Series(dtype=float), 64)
    print({name: report[name] for name in ("accuracy", "calibration")})
    assert report["accuracy"] == (held_out["chosen"] == "100").mean()  # the right order, and no label more
    assert report["calibration"]["confidence"] == pytest.approx(1 - noise, abs=0.06)
    assert report["calibration"]["expected_error"] < 0.06


def test_a_pair_that_just_fits_the_context_is_kept_and_a_longer_one_is_not(tiny_base: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    prompt = price_prompt("word", QUESTION)
    pairs = pd.DataFrame({"prompt": prompt, "chosen": "7", "rejected": ["8", "1 1 1"]})
    whole = stage_file.token_pairs(tokenizer, pairs)
    assert len(whole[1]["rejected_ids"]) > len(whole[0]["rejected_ids"])
    tokenizer.model_max_length = len(whole[0]["rejected_ids"])
    assert stage_file.too_long(tokenizer, pairs).tolist() == [False, True]


def test_an_unreadable_completion_is_counted_and_has_no_error(
    tiny_base: Path, tiny_adapter: Path, tiny_items: pd.DataFrame
) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    model = adapters.load_reward_model(tiny_base, tiny_adapter, tokenizer.pad_token_id)
    pairs = planted(tiny_items[:3], "100", "cheap")
    prices = tiny_items.set_index("id")["price"]
    report, completions = stage_file.held_out_report(model, tokenizer, pairs, prices, 8)
    assert report["unreadable"] == completions["error"].isna().sum() == 3
    assert report["mean_reward_unreadable"] == pytest.approx(
        completions["reward"][completions["text"] == "cheap"].mean()
    )


def test_the_score_of_a_row_does_not_depend_on_its_batch(tiny_base: Path, tiny_adapter: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    model = adapters.load_reward_model(tiny_base, tiny_adapter, tokenizer.pad_token_id)
    rows = [reward_ids(tokenizer, price_prompt("word " * length, QUESTION), "12") for length in (1, 8, 3)]
    together = stage_file.scores(model, rows, 3, tokenizer.pad_token_id)
    alone = [stage_file.scores(model, [row], 1, tokenizer.pad_token_id)[0] for row in rows]
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-4)


def test_no_prompt_is_on_both_sides_of_the_split(tiny_items: pd.DataFrame) -> None:
    pairs = pd.concat([planted(tiny_items, "1", "2"), planted(tiny_items, "3", "4")])
    kept, held_out = stage_file.split_by_prompt(pairs, 0.2, 1)
    assert set(kept["id"]).isdisjoint(held_out["id"])
    assert len(kept) + len(held_out) == len(pairs)
    assert held_out["id"].nunique() == round(0.2 * len(tiny_items))


def test_one_prompt_is_too_few(tiny_items: pd.DataFrame) -> None:
    with pytest.raises(PricewrightError, match="too few"):
        stage_file.split_by_prompt(planted(tiny_items[:1], "1", "2"), 0.2, 1)
