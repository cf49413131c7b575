"""Reward: a model that scores a completion of a prompt, trained on pairs (Bradley-Terry, arXiv:2203.02155).

Reads artifacts/base/, artifacts/sft/ and artifacts/preferences/, writes adapter and scalar head to
artifacts/reward/. Its accuracy is measured on pairs of prompts that it was not trained on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from tqdm import tqdm
from trl import RewardConfig, RewardTrainer

from components import modeling, pricing, stage
from components.params import Reward
from components.records import PricewrightError


def reward(
    pairs: pd.DataFrame, section: Reward, model: Any, tokenizer: Any, scratch: Path, curves: Any
) -> Any:
    """Train `model` (see modeling.scorer) on pairs; returns it. No pair is dropped, however long."""
    options = RewardConfig(
        **modeling.trainer_options(scratch, section.seed),
        num_train_epochs=section.epochs,
        per_device_train_batch_size=section.batch_size,
        learning_rate=section.learning_rate,
        center_rewards_coefficient=section.center_coefficient,
        save_strategy="no",
        max_length=None,  # RewardTrainer would drop longer pairs in silence; prompts are cut already
    )
    with modeling.full_precision(model):
        trainer = RewardTrainer(
            model,
            args=options,
            train_dataset=Dataset.from_list(token_pairs(tokenizer, pairs)),
            processing_class=tokenizer,
            callbacks=[curves],
        )
    modeling.train(trainer)
    return trainer.model


def token_pairs(tokenizer: Any, pairs: pd.DataFrame) -> list[dict[str, list[int]]]:
    """Token ids of prompt and chosen, prompt and rejected, each with the end-of-text token."""
    return [
        {
            f"{side}_ids": answered(tokenizer, pair.prompt, getattr(pair, side))
            for side in ("chosen", "rejected")
        }
        for pair in pairs.itertuples()
    ]


def answered(tokenizer: Any, prompt: str, completion: str) -> list[int]:
    """Token ids of a prompt, a completion and the end-of-text token.

    The reward is read at the completion's last token: the pooling of transformers skips the end-of-text
    token where it is the padding token too, in training (TRL) as in `scores`.
    """
    asked = pricing.prompt_ids(tokenizer, prompt, tokenizer.model_max_length)
    return [*asked, *tokenizer(completion, add_special_tokens=False).input_ids, tokenizer.eos_token_id]


@torch.inference_mode()
def scores(model: Any, rows: list[list[int]], batch_size: int, pad_token_id: int) -> np.ndarray:
    """Reward of each row of token ids, float (rows,); read at the last token before the end of text."""
    model.eval()
    result = np.empty(len(rows))
    for start in tqdm(range(0, len(rows), batch_size), desc="scoring", mininterval=2, leave=False):
        batch = rows[start : start + batch_size]
        tokens, real, positions = pricing.left_padded(batch)
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


def accuracy(model: Any, tokenizer: Any, pairs: pd.DataFrame, batch_size: int) -> dict[str, float]:
    """Share of pairs whose chosen completion scores higher, overall and for wide margins; mean reward."""
    rows = token_pairs(tokenizer, pairs)
    chosen = scores(model, [row["chosen_ids"] for row in rows], batch_size, tokenizer.pad_token_id)
    rejected = scores(model, [row["rejected_ids"] for row in rows], batch_size, tokenizer.pad_token_id)
    right = chosen > rejected
    wide = (pairs["margin"] >= pairs["margin"].median()).to_numpy()
    return {
        "accuracy": float(right.mean()),
        "accuracy_wide_margins": float(right[wide].mean()),
        "mean_reward": float(np.concatenate([chosen, rejected]).mean()),
    }


def main() -> None:
    """Read the pairs and the SFT adapter, write the reward model."""
    with stage.run("reward") as frame:
        section, base = frame.params.reward, Path("artifacts/base")
        training, held_out = split_by_prompt(
            stage.read("artifacts/preferences/pairs.parquet"), section.held_out, section.seed
        )
        modeling.seed_everything(section.seed)
        tokenizer = modeling.load_tokenizer(base)
        model = modeling.scorer(base, Path("artifacts/sft"), tokenizer.pad_token_id)
        model = reward(training, section, model, tokenizer, frame.scratch, modeling.Curves(frame.tracked))
        modeling.save_adapter(model, frame.folder)
        measured = accuracy(model, tokenizer, held_out, section.batch_size)
        frame.report({"pairs": len(training), "held_out_pairs": len(held_out), "held_out": measured})
        frame.discard_scratch()


if __name__ == "__main__":
    main()
