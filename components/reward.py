"""Reward: a model that scores a completion of a prompt, trained on pairs (Bradley-Terry, arXiv:2203.02155).

Reads artifacts/base/, artifacts/sft/ and artifacts/preferences/, writes adapter and scalar head to
artifacts/reward/, and reward.json: the part that the SFT model's own distribution has in the reward
(alignment/sft_reward.py), and how right the whole is on pairs of products that it was not trained on. Beside
that accuracy stand those of rules that need no training; whether the reward follows the truth is measured by
the answers of the preference split.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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
from components.alignment.rewards import Standing, read_answers
from components.alignment.sft_reward import SftReward, fitted_slope
from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.preferences import Preferences
from components.core.params.reward import Reward
from components.core.params.section import load_section
from components.evaluation.resampling import Floats
from components.model import adapters, loading, training
from components.model.answers import AnswerSet
from components.model.distribution import answer_masses, given_an_answer
from components.model.examples import PromptIds, answer_ids, read_prompts
from components.model.tokens import left_padded
from components.reporting import alignment_figures
from components.tasks import AnyTask, load_task

SIDES = ("chosen", "rejected")


def reward(
    pairs: pd.DataFrame,
    start: dict[str, Floats],
    section: Reward,
    model: Any,
    tokenizer: Any,
    scratch: Path,
    curves: Any,
) -> Any:
    """Train `model` (see `load_reward_model`) on pairs that fit its context; returns it. None is dropped. Of
    all pairs here a `prompt` is its token ids.

    `start` is the reward of both sides before the model's own is added: it learns what is left.
    """
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
    rows = rows.add_column("margin", start["rejected"] - start["chosen"])  # the loss takes it off the lead
    return training.train(RewardTrainer, model, rows, options, tokenizer, [curves]).model


def token_pairs(tokenizer: Any, pairs: pd.DataFrame) -> list[dict[str, list[int]]]:
    """Token ids of prompt and chosen, prompt and rejected, each with the end-of-text token.

    The reward stands at the completion's last token: the pooling of transformers skips the end-of-text
    token where it is the padding token too, in training (TRL) as in use.
    """
    return [
        {f"{side}_ids": [*pair.prompt, *answer_ids(tokenizer, getattr(pair, side))] for side in SIDES}
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


def with_products(pairs: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """The pairs with the `product` of their items; a prompt that belongs to no item is one of its own."""
    return pairs.assign(product=pairs["id"].map(items.set_index("id")["product"]).fillna(pairs["id"]))


def split_by_product(pairs: pd.DataFrame, held_out: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(training, held out): no product is in both. Raises PricewrightError with fewer than two products."""
    ids = np.sort(pairs["product"].unique())
    if len(ids) < 2:
        raise PricewrightError(
            f"{len(ids)} product with pairs is too few to train and to measure a reward model"
        )
    out = np.random.default_rng(seed).choice(ids, max(1, round(held_out * len(ids))), replace=False)
    mask = pairs["product"].isin(out)
    return pairs[~mask].reset_index(drop=True), pairs[mask].reset_index(drop=True)


def held_out_report(
    model: Any,
    tokenizer: Any,
    pairs: pd.DataFrame,
    start: dict[str, Floats],
    targets: pd.Series,
    answers: AnswerSet,
    batch_size: int,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """(report, completions): accuracy and calibration on the pairs, reward against true error and length.

    `start` is that of `reward`; `targets` are by item id. `completions` has a row for each
    different completion of a prompt, with its `reward`, its `length` in tokens and its `error`: NaN
    where its target is not known, or where it is none itself. Those are counted as `unreadable`, and their
    mean reward is reported.
    """
    rows = token_pairs(tokenizer, pairs)
    rewards = {
        side: start[side]
        + scores(model, [row[f"{side}_ids"] for row in rows], batch_size, tokenizer.pad_token_id)
        for side in SIDES
    }
    right = rewards["chosen"] > rewards["rejected"]
    margins, products = pairs["margin"].to_numpy(float), pairs["product"].to_numpy()
    completions = _completions(tokenizer, pairs, targets, answers, rewards)
    unreadable = completions[completions["answer"].isna()]
    report = {
        **reward_quality.quality(rewards["chosen"], rewards["rejected"], margins, products),
        "by_origin": {
            str(name): float(own.mean()) for name, own in pd.Series(right).groupby(pairs["origin"].to_numpy())
        },
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


def starts(start: SftReward, pairs: pd.DataFrame, slope: float) -> dict[str, Floats]:
    """What the SFT model's own distribution says of both sides, each (pairs,), by a slope."""
    return {side: slope * start(pairs["prompt"], pairs[side]) for side in SIDES}


def rules(pairs: pd.DataFrame, centers: dict[str, pd.Series], answers: AnswerSet) -> dict[str, Any]:
    """Accuracy of "nearer to the center" on the pairs, for centers by item id (`reward_quality.nearer`)."""

    def losses(side: str, center: np.ndarray) -> Floats:
        answered = read_answers(list(pairs[side]), answers)
        known = np.where(np.isnan(answered), np.inf, answers.loss(center, answered))
        return np.where(np.isnan(center), np.nan, known)

    found = {name: pairs["id"].map(own).to_numpy(float) for name, own in centers.items()}
    return {
        name: reward_quality.nearer(*(losses(side, center) for side in SIDES))
        for name, center in found.items()
    }


def centers_of(
    sampled: pd.DataFrame, items: pd.DataFrame, law: pd.DataFrame, point: Any, task: AnyTask
) -> dict[str, pd.Series]:
    """By item id: the center of an item's sampled completions, the `point` of the SFT model's distribution,
    and the best answer by the law where the source has one.
    """
    answers = [task.answers.center(read_answers(texts, task.answers)) for texts in sampled["completions"]]
    own = point(list(sampled["prompt"]))
    known = items.set_index("id")["address"].map(task.best_by_law(law))
    ids = sampled["id"].to_numpy()
    return {
        "center_of_samples": pd.Series(answers, ids),
        "sft_point": pd.Series(own, ids),
        "law": known.astype(float),
    }


def _completions(
    tokenizer: Any,
    pairs: pd.DataFrame,
    targets: pd.Series,
    answers: AnswerSet,
    rewards: dict[str, np.ndarray],
) -> pd.DataFrame:
    """One row for each different completion of a prompt: `id`, `text`, `reward`, `length`,
    `answer`, `error`.
    """
    sides = [
        pd.DataFrame({"id": pairs["id"], "text": pairs[side], "reward": reward})
        for side, reward in rewards.items()
    ]
    rows = pd.concat(sides).drop_duplicates(["id", "text"]).reset_index(drop=True)
    read = read_answers(rows["text"].tolist(), answers)
    lengths = [len(tokenizer(text, add_special_tokens=False).input_ids) for text in rows["text"]]
    true = rows["id"].map(targets).to_numpy(float)
    return rows.assign(length=lengths, answer=read, error=answers.loss(true, read))


def too_long(tokenizer: Any, pairs: pd.DataFrame) -> pd.Series:
    """Which pairs do not fit the model's context with their end-of-text token: bool, by row."""
    lengths = [max(len(row[f"{side}_ids"]) for side in SIDES) for row in token_pairs(tokenizer, pairs)]
    return pd.Series(np.array(lengths) > tokenizer.model_max_length, index=pairs.index)


def draw(calibration: dict[str, Any], rows: pd.DataFrame, unit: str) -> dict[str, Figure]:
    """The figures of the report, by file name: reliability, and reward against true error and length."""
    rewards, errors, lengths = (rows[name].to_numpy() for name in ("reward", "error", "length"))
    return {
        "reliability.png": alignment_figures.reliability(calibration),
        "rewards.png": alignment_figures.rewards_by_error(rewards, errors, lengths, unit),
    }


def fitted_start(
    tokenizer: Any, pairs: pd.DataFrame, answers: AnswerSet, batch_size: int
) -> tuple[SftReward, float]:
    """(what the SFT model off the disk says of a completion, its slope by these pairs)."""
    model: Any = adapters.load_adapted(Path("artifacts/base"), Path("artifacts/sft"))
    options: dict[str, Any] = {"batch_size": batch_size, "title": "reading"}

    def distributions(prompts: list[PromptIds]) -> Floats:
        return given_an_answer(answer_masses(model, tokenizer, prompts, answers.spelled, **options))

    start = SftReward(distributions, answers, under_cost=load_section(Preferences).under_cost)
    plain = starts(start, pairs, 1.0)
    return start, fitted_slope(plain["chosen"] - plain["rejected"])


def measured_rules(
    held_out: pd.DataFrame,
    items: pd.DataFrame,
    start: SftReward,
    read: Callable[..., list[PromptIds]],
    task: AnyTask,
) -> dict[str, Any]:
    """The `rules` of the held-out pairs, by what the earlier stages wrote; `read` makes prompts token ids."""
    artifacts = Path("artifacts")
    sampled = stage.read(artifacts / "preferences/sampled.parquet")
    law = stage.read(artifacts / "scrape/law.parquet")
    own = sampled[sampled["id"].isin(held_out["id"])]
    own = own.assign(prompt=read(own["prompt"]))

    def point(prompts: list[PromptIds]) -> Floats:
        return task.answers.point(start.distributions(prompts))

    return rules(held_out, centers_of(own, items, law, point, task), task.answers)


def standing_of(start: SftReward, slope: float, report: dict[str, Any], pairs: int) -> Standing:
    """What align needs to know of the reward model, `report` being that of so many held-out pairs."""
    accuracy = {name: report[name] for name in ("accuracy", "accuracy_low", "accuracy_high")}
    return Standing(slope=slope, under_cost=start.under_cost, pairs=pairs, **accuracy)


def main() -> None:
    """Read the pairs and the SFT adapter, write the reward model."""
    with stage.run(Reward) as frame:
        section, base, task = frame.section, Path("artifacts/base"), load_task()
        loading.seed_everything(section.seed)
        tokenizer = loading.load_tokenizer(base)
        items = stage.read("artifacts/curate/preference.parquet")
        read = partial(read_prompts, tokenizer, limit=task.tokens)
        pairs = with_products(stage.read("artifacts/preferences/pairs.parquet"), items)
        pairs = pairs.assign(prompt=read(pairs["prompt"]))
        long = too_long(tokenizer, pairs)
        learned, held_out = split_by_product(pairs[~long], section.held_out, section.seed)
        start, slope = fitted_start(tokenizer, learned, task.answers, section.batch_size)
        begun, left = (starts(start, part, slope) for part in (learned, held_out))
        model = adapters.load_reward_model(base, Path("artifacts/sft"), tokenizer.pad_token_id)
        curves = training.Curves(frame.tracked)
        model = reward(learned, begun, section, model, tokenizer, frame.scratch, curves)
        adapters.save_adapter(model, frame.folder)
        targets = items.set_index("id")["target"]
        answers, size = task.answers, section.batch_size
        report, rows = held_out_report(model, tokenizer, held_out, left, targets, answers, size)
        report["rules"] = measured_rules(held_out, items, start, read, task)
        standing = standing_of(start, slope, report, len(held_out))
        standing.save(frame.folder)
        for name, figure in draw(report["calibration"], rows, task.unit).items():
            frame.picture(figure, name)
        too_long_ids = sorted(pairs["id"][long])
        counts = {"pairs": len(learned), "pairs_too_long": len(too_long_ids), "too_long": too_long_ids}
        counts |= {"held_out_pairs": len(held_out), "usable": standing.better_than_chance}
        frame.report(counts | {"sft_slope": slope, "held_out": report})
        frame.discard_scratch()


if __name__ == "__main__":
    main()
