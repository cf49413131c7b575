"""Reward: a model that scores a completion of a prompt, trained on pairs (Bradley-Terry, arXiv:2203.02155).

Reads artifacts/base/, artifacts/sft/ and artifacts/preferences/, writes adapter and scalar head to
artifacts/reward/. How right and how sure it is, is measured on pairs of prompts that it was not trained on;
whether its reward follows the truth, by the prices of the preference split.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from matplotlib.figure import Figure
from tqdm import tqdm
from trl import RewardConfig, RewardTrainer

from components.alignment import reward_quality
from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.reward import Reward
from components.model import adapters, loading, training
from components.model.prompt import parse_completion
from components.model.tokens import left_padded, reward_ids
from components.reporting import alignment_figures


def reward(
    pairs: pd.DataFrame, section: Reward, model: Any, tokenizer: Any, scratch: Path, curves: Any
) -> Any:
    """Train `model` (see `load_reward_model`) on pairs that fit its context; returns it. None is dropped."""
    options = RewardConfig(
        **training.trainer_options(scratch, section.seed),
        num_train_epochs=section.epochs,
        per_device_train_batch_size=section.batch_size,
        learning_rate=section.learning_rate,
        center_rewards_coefficient=section.center_rewards_coefficient,
        save_strategy="no",
        max_length=None,  # RewardTrainer would drop longer pairs in silence; `too_long` names them
    )
    rows = Dataset.from_list(token_pairs(tokenizer, pairs))
    return training.train(RewardTrainer, model, rows, options, tokenizer, [curves]).model


def token_pairs(tokenizer: Any, pairs: pd.DataFrame) -> list[dict[str, list[int]]]:
    """Token ids of prompt and chosen, prompt and rejected, each with the end-of-text token."""
    return [
        {
            f"{side}_ids": reward_ids(tokenizer, pair.prompt, getattr(pair, side))
            for side in ("chosen", "rejected")
        }
        for pair in pairs.itertuples()
    ]


@torch.inference_mode()
def scores(model: Any, rows: list[list[int]], batch_size: int, pad_token_id: int) -> np.ndarray:
    """Reward of each row of token ids, float (rows,); read at the last token before the end of text."""
    model.eval()
    result = np.empty(len(rows))
    for start in tqdm(range(0, len(rows), batch_size), desc="scoring", mininterval=2, leave=False):
        batch = rows[start : start + batch_size]
        tokens, real, positions = left_padded(batch)
        hidden = model(
            input_ids=tokens.masked_fill(real == 0, pad_token_id).to(model.device),
            attention_mask=real.to(model.device),
            position_ids=positions.to(model.device),
        )
        result[start : start + batch_size] = hidden.logits[:, 0].float().cpu().numpy()
    return result


def split_by_prompt(pairs: pd.DataFrame, held_out: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(training, held out): no prompt is in both. Raises PricewrightError with fewer than two prompts."""
    ids = np.sort(pairs["id"].unique())
    if len(ids) < 2:
        raise PricewrightError(
            f"{len(ids)} prompt with pairs is too few to train and to measure a reward model"
        )
    out = np.random.default_rng(seed).choice(ids, max(1, round(held_out * len(ids))), replace=False)
    mask = pairs["id"].isin(out)
    return pairs[~mask].reset_index(drop=True), pairs[mask].reset_index(drop=True)


def held_out_report(
    model: Any, tokenizer: Any, pairs: pd.DataFrame, prices: pd.Series, batch_size: int
) -> tuple[dict[str, Any], pd.DataFrame]:
    """(report, completions): accuracy and calibration on the pairs, reward against true error and length.

    `prices` are true dollars by item id. `completions` has a row for each different completion of a prompt,
    with its `reward`, its `length` in tokens and its `error` in dollars: NaN where its price is not known,
    or where it is none itself. Those are counted as `unreadable`, and their mean reward is reported.
    """
    rows = token_pairs(tokenizer, pairs)
    rewards = {
        side: scores(model, [row[f"{side}_ids"] for row in rows], batch_size, tokenizer.pad_token_id)
        for side in ("chosen", "rejected")
    }
    completions = _completions(tokenizer, pairs, prices, rewards)
    unreadable = completions[completions["text"].map(parse_completion).isna()]
    report = {
        **reward_quality.quality(rewards["chosen"], rewards["rejected"], pairs["margin"].to_numpy(float)),
        "mean_reward": float(np.concatenate(list(rewards.values())).mean()),
        "reward_and_error": reward_quality.correlation(
            completions["reward"].to_numpy(), completions["error"].to_numpy()
        ),
        "reward_and_length": reward_quality.correlation(
            completions["reward"].to_numpy(), completions["length"].to_numpy(float)
        ),
        "completions": len(completions),
        "unreadable": len(unreadable),
        "mean_reward_unreadable": float(unreadable["reward"].mean()) if len(unreadable) else None,
    }
    return report, completions


def _completions(
    tokenizer: Any, pairs: pd.DataFrame, prices: pd.Series, rewards: dict[str, np.ndarray]
) -> pd.DataFrame:
    """One row for each different completion of a prompt: `id`, `text`, `reward`, `length`, `error`."""
    sides = [
        pd.DataFrame({"id": pairs["id"], "text": pairs[side], "reward": reward})
        for side, reward in rewards.items()
    ]
    rows = pd.concat(sides).drop_duplicates(["id", "text"]).reset_index(drop=True)
    prices_read = rows["text"].map(parse_completion).astype(float)
    lengths = [len(tokenizer(text, add_special_tokens=False).input_ids) for text in rows["text"]]
    return rows.assign(length=lengths, error=(prices_read - rows["id"].map(prices)).abs())


def too_long(tokenizer: Any, pairs: pd.DataFrame) -> pd.Series:
    """Which pairs do not fit the model's context with their end-of-text token: bool, by row."""
    longest = [
        max(len(tokenizer(text, add_special_tokens=False).input_ids) for text in sides)
        for sides in zip(pairs["chosen"], pairs["rejected"], strict=True)
    ]
    prompts = [len(tokenizer(prompt).input_ids) for prompt in pairs["prompt"]]
    room = tokenizer.model_max_length - 1  # for the end-of-text token
    return pd.Series(np.add(longest, prompts) > room, index=pairs.index)


def draw(calibration: dict[str, Any], rows: pd.DataFrame) -> dict[str, Figure]:
    """The figures of the report, by file name: reliability, and reward against true error and length."""
    columns = (rows[name].to_numpy() for name in ("reward", "error", "length"))
    return {
        "reliability.png": alignment_figures.reliability(calibration),
        "rewards.png": alignment_figures.rewards_by_error(*columns),
    }


def main() -> None:
    """Read the pairs and the SFT adapter, write the reward model."""
    with stage.run(Reward) as frame:
        section, base = frame.section, Path("artifacts/base")
        loading.seed_everything(section.seed)
        tokenizer = loading.load_tokenizer(base)
        pairs = stage.read("artifacts/preferences/pairs.parquet")
        long = too_long(tokenizer, pairs)
        learned, held_out = split_by_prompt(pairs[~long], section.held_out, section.seed)
        model = adapters.load_reward_model(base, Path("artifacts/sft"), tokenizer.pad_token_id)
        model = reward(learned, section, model, tokenizer, frame.scratch, training.Curves(frame.tracked))
        adapters.save_adapter(model, frame.folder)
        prices = stage.read("artifacts/curate/preference.parquet").set_index("id")["price"]
        report, rows = held_out_report(model, tokenizer, held_out, prices, section.batch_size)
        for name, figure in draw(report["calibration"], rows).items():
            frame.picture(figure, name)
        too_long_ids = sorted(pairs["id"][long])
        counts = {"pairs": len(learned), "pairs_too_long": len(too_long_ids), "too_long": too_long_ids}
        frame.report(counts | {"held_out_pairs": len(held_out), "held_out": report})
        frame.discard_scratch()


if __name__ == "__main__":
    main()
