"""Preferences: pairs of completions of one prompt, one better than the other, from one or several origins.

Reads artifacts/base/, artifacts/sft/, the preference split, which no other stage trains on, and feedback/;
writes artifacts/preferences/: sampled.parquet (completions of the SFT model), pairs.parquet (what the reward
model and DPO learn from) and rejects.parquet. Each origin is a file in components/feedback/.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.preferences import Preferences
from components.core.schemas import HELD_OUT, Pair, RejectedPreference, Sampled
from components.feedback import constitution, dataset, people, steering, truth
from components.feedback.result import Preferences as Feedback
from components.model import adapters, loading, sampling
from components.model.answers import AnswerSet
from components.model.examples import PromptIds, answer_ids, read_prompts
from components.model.prompt import prompt_of
from components.tasks import AnyTask, load_task


def preferences(
    sampled: pd.DataFrame,
    targets: pd.Series,
    section: Preferences,
    answers: AnswerSet,
    steered: Callable[[], Feedback],
) -> list[Feedback]:
    """Pairs and rejects of each origin of the section. `sampled` has columns of `Sampled`, `targets` by id;
    `steered` makes those of steering texts, for which the model has to answer once more.
    """
    origins = {
        "truth": lambda: truth.pairs(
            sampled,
            targets,
            answers,
            margin_min=section.margin_min,
            most=section.pairs_per_prompt,
            under_cost=section.under_cost,
        ),
        "steering": steered,
        "people": lambda: people.pairs(Path(section.people.path)),
        "constitution": lambda: constitution.pairs(sampled, section.constitution),
        "dataset": lambda: dataset.pairs(section.dataset),
    }
    return [origins[name]() for name in dict.fromkeys(section.origins)]


def usable(
    feedback: list[Feedback], held_back: set[PromptIds], tokenizer: Any, task: AnyTask
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(pairs, rejects) of all origins, columns of `Pair` and `RejectedPreference`. A pair is rejected where
    its prompt, cut as a model reads it, is one of `held_back` (validation and test), or where it does not
    fit the model's context with a completion.

    Raises PricewrightError where not one pair is left.
    """
    pairs, rejects = [], [reject for origin in feedback for reject in origin.rejects]
    for pair in (pair for origin in feedback for pair in origin.pairs):
        [ids] = read_prompts(tokenizer, [pair.prompt.strip()], task.tokens)
        tokens = len(ids) + max(len(answer_ids(tokenizer, side)) for side in (pair.chosen, pair.rejected))
        if ids in held_back:
            reason = "its prompt is in validation or test"
        elif tokens > tokenizer.model_max_length:
            reason = f"{tokens} tokens do not fit the model's context of {tokenizer.model_max_length}"
        else:
            pairs.append(pair.model_dump())
            continue
        rejects.append(RejectedPreference(origin=pair.origin, where=pair.id, reason=reason))
    if not pairs:
        first = f": {rejects[0].origin}, {rejects[0].where}: {rejects[0].reason}" if rejects else ""
        names = ", ".join(origin.origin for origin in feedback)
        raise PricewrightError(
            f"no pair is left of {names}, {len(rejects)} were rejected{first}; "
            "raise preferences.temperature or completions, lower margin_min, or mend the file"
        )
    rows = [reject.model_dump() for reject in rejects]
    table = pd.DataFrame(pairs, columns=Pair.columns()).astype({"margin": float})
    return table, pd.DataFrame(rows, columns=RejectedPreference.columns())


def lengths(pairs: pd.DataFrame, tokenizer: Any) -> dict[str, float]:
    """Mean tokens of both sides, and how often the longer one is chosen where they differ: far from a half
    it is a bias that a reward model will learn.
    """
    chosen, rejected = (
        np.array([len(ids) for ids in tokenizer(list(pairs[side]), add_special_tokens=False).input_ids])
        for side in ("chosen", "rejected")
    )
    differ = chosen != rejected
    return {
        "chosen": float(chosen.mean()),
        "rejected": float(rejected.mean()),
        "differ": int(differ.sum()),
        "longer_chosen": float((chosen > rejected)[differ].mean()) if differ.any() else 0.5,
    }


def report_of(
    feedback: list[Feedback], pairs: pd.DataFrame, rejects: pd.DataFrame, tokenizer: Any
) -> dict[str, Any]:
    """Counts, share of pairs per origin, rejects, lengths, and each origin's figures."""
    origins = {
        result.origin: {
            "pairs": int((pairs["origin"] == result.origin).sum()),
            "share": float((pairs["origin"] == result.origin).mean()),
            "rejected": int((rejects["origin"] == result.origin).sum()),
            **result.figures,
        }
        for result in feedback
    }
    return {
        "pairs": len(pairs),
        "rejected": len(rejects),
        "origins": origins,
        "tokens": lengths(pairs, tokenizer),
    }


def sample(
    items: pd.DataFrame, model: Any, tokenizer: Any, section: Preferences, task: AnyTask
) -> pd.DataFrame:
    """Rows of `Sampled`: completions of the SFT model for each item."""
    prompts = [prompt_of(text, task) for text in items["text"]]
    loading.seed_everything(section.seed)
    completions = sampling.sample(
        model,
        tokenizer,
        prompts,
        completions=section.completions,
        temperature=section.temperature,
        prompt_tokens=task.tokens,
        batch_size=section.batch_size,
        new_tokens=sampling.room_for(tokenizer, task.spelled),
        title="sampling",
    )
    return pd.DataFrame({"id": items["id"].to_numpy(), "prompt": prompts, "completions": completions})


def steered(items: pd.DataFrame, model: Any, tokenizer: Any, section: Preferences, task: AnyTask) -> Feedback:
    """Pairs of the model's likeliest completions of each item with and without a steering text.

    Raises PricewrightError where a label is predicted: a text moves no label up or down.
    """
    if task.kind == "label":
        raise PricewrightError(
            "preferences of steering texts are made for numbers only, and task.kind is label: take steering "
            "out of preferences.origins"
        )
    templates = steering.load_templates(Path(section.steering.path))
    texts = {"plain": list(items["text"]), "moved": steering.steered(items["text"], templates, section.seed)}
    prompts = {name: [prompt_of(text, task) for text in rows] for name, rows in texts.items()}
    greedy = partial(sampling.sample, model, tokenizer, completions=1, temperature=0.0, title="steering")
    answers = {
        name: [own for (own,) in greedy(rows, prompt_tokens=task.tokens, batch_size=section.batch_size)]
        for name, rows in prompts.items()
    }
    return steering.pairs(list(items["id"]), prompts["moved"], **answers, margin_min=section.margin_min)


def main() -> None:
    """Sample from the SFT model on the preference split, write the pairs."""
    with stage.run(Preferences) as frame:
        task, curated = load_task(), Path("artifacts/curate")
        items = stage.read(curated / "preference.parquet")
        scored = pd.concat([stage.read(curated / f"{split}.parquet") for split in HELD_OUT])
        tokenizer = loading.load_tokenizer(Path("artifacts/base"))
        model = adapters.load_adapted(Path("artifacts/base"), Path("artifacts/sft"))
        reading = (model, tokenizer, frame.section, task)
        sampled, targets = sample(items, *reading), items.set_index("id")["target"]
        feedback = preferences(
            sampled, targets, frame.section, task.answers, lambda: steered(items, *reading)
        )
        held_back = [prompt_of(text, task) for text in scored["text"]]
        read = read_prompts(tokenizer, held_back, task.tokens)
        pairs, rejects = usable(feedback, set(read), tokenizer, task)
        frame.save("sampled.parquet", sampled, Sampled)
        frame.save("pairs.parquet", pairs, Pair)
        frame.save("rejects.parquet", rejects, RejectedPreference)
        frame.report(counts_of(sampled, task.answers) | report_of(feedback, pairs, rejects, tokenizer))


def counts_of(sampled: pd.DataFrame, answers: AnswerSet) -> dict[str, int]:
    """Prompts, completions, and completions that are no answer."""
    texts = [text for completions in sampled["completions"] for text in completions]
    unparsed = sum(answers.read(text) is None for text in texts)
    return {"prompts": len(sampled), "completions": len(texts), "unparsed": unparsed}


if __name__ == "__main__":
    main()
