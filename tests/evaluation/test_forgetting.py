"""What tuning cost elsewhere: perplexity and answers, by hand and on a model that was damaged on purpose."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from components.evaluation import forgetting
from components.model import loading


class Words:
    """One token for each word; the tokens are numbered as they come."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def __call__(self, text: str, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(
            input_ids=[self.known.setdefault(word, len(self.known)) for word in text.split()]
        )


class Even:
    """Gives every one of 1,000 tokens the same probability, but `favourite` twice that."""

    device = "cpu"

    def __init__(self, favourite: int | None = None) -> None:
        self.favourite = favourite

    def __call__(self, input_ids: torch.Tensor, **_: Any) -> SimpleNamespace:
        logits = torch.zeros(1, input_ids.shape[1], 1000)
        if self.favourite is not None:
            logits[..., self.favourite] = 5.0
        return SimpleNamespace(logits=logits)


def test_a_model_without_a_clue_hesitates_between_all_tokens() -> None:
    result = forgetting.measure(Even(), Words())
    assert result["perplexity"] == pytest.approx(1000, abs=0.01)
    assert result["instruction_perplexity"] == pytest.approx(1000, abs=0.01)


def test_the_right_answer_has_to_be_the_likeliest() -> None:
    words = Words()
    water = words("water").input_ids[0]
    before = forgetting.measure(Even(), words)["choice_accuracy"]
    assert forgetting.measure(Even(water), words)["choice_accuracy"] <= before + 1 / 12
    horse = words("horse").input_ids[0]
    sure = forgetting.measure(Even(horse), words)["choice_accuracy"]
    assert sure >= 1 / 12, "of `a horse` and `a hammer` it takes the horse"


def test_a_damaged_model_has_lost_something_and_the_base_itself_nothing(tiny_base: Path) -> None:
    model, tokenizer = loading.load_whole(tiny_base), loading.load_tokenizer(tiny_base)
    whole = forgetting.measure(model, tokenizer)
    assert forgetting.measure(model, tokenizer) == whole
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    result = forgetting.compared({"base": whole, "sft": forgetting.measure(model, tokenizer)}, "base")
    assert result["base"]["perplexity_ratio"] == 1.0
    assert result["sft"]["perplexity_ratio"] > 1.5


def test_rouge_counts_the_longest_common_subsequence_of_words() -> None:
    assert forgetting.rouge_l("Police ended the gunman", "police killed the gunman!") == 0.75
    assert forgetting.rouge_l("the gunman police killed", "police killed the gunman") == 0.5
    assert forgetting.rouge_l("", "anything") == forgetting.rouge_l("nothing", "") == 0.0


def test_a_model_that_writes_the_answers_scores_all_and_one_that_writes_others_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = [[answer] for _, answer in forgetting.INSTRUCTIONS]
    for generated, scores in ((right, (100, 1)), ([["xyz"]] * len(right), (0, 0))):
        monkeypatch.setattr(forgetting.sampling, "sample", lambda *_, generated=generated, **__: generated)
        result = forgetting.generate(None, None)
        assert (result["bleu"], result["rouge_l"]) == pytest.approx(scores)


def test_what_a_model_writes_is_the_same_on_every_run(sharp_base: Path) -> None:
    model, tokenizer = loading.load_whole(sharp_base), loading.load_tokenizer(sharp_base)
    assert forgetting.generate(model, tokenizer) == forgetting.generate(model, tokenizer)
