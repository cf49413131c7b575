"""Hidden states as features: the mean over the tokens of a prompt, whatever else is in the batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from components.core.params.file import Params
from components.model import loading
from components.model.hidden_states import chosen_layers, hidden_states
from components.model.prompt import prompt_of
from components.model.tokens import prompt_ids

TEXTS = ["A red lamp", "A much longer text about a lamp with three arms and a heavy foot of brass", "Desk"]


def test_they_are_the_means_that_transformers_gives_for_each_text_alone(
    tiny_base: Path, tiny_params: Params
) -> None:
    model, tokenizer = loading.load_whole(tiny_base), loading.load_tokenizer(tiny_base)
    task, options = tiny_params.task, {"depths": [0.5, 1.0], "batch_size": 3, "title": "test"}
    states = hidden_states(model, tokenizer, TEXTS, task, **options)
    assert states.shape == (3, model.config.hidden_size), "one layer, however often it is named"
    for row, text in enumerate(TEXTS):
        ids = prompt_ids(tokenizer, prompt_of(text, task), task.tokens)
        with torch.inference_mode():
            every = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        np.testing.assert_allclose(states[row], every[1][0].mean(dim=0).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("depths", "layers", "chosen"),
    [([0.4, 0.6, 0.8], 30, [12, 18, 24]), ([0.4, 0.6, 0.8], 4, [2, 3]), ([0.01, 1.0], 4, [1, 4])],
)
def test_depths_are_shares_of_the_layers(depths: list[float], layers: int, chosen: list[int]) -> None:
    assert chosen_layers(depths, layers) == chosen
