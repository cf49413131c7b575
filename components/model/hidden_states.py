"""What the layers of a language model hold of a text: features for a regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from components.model.prompt import Asked, prompt_of
from components.model.tokens import batches, left_padded, prompt_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Known(NamedTuple):
    """What a language model gives for some listings."""

    distribution: np.ndarray
    """(n, answers); see `answer_distribution`."""
    states: np.ndarray
    """(n, size); see `hidden_states`."""


def hidden_states(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    texts: list[str],
    task: Asked,
    *,
    depths: list[float],
    batch_size: int,
    title: str,
) -> np.ndarray:
    """The mean over the tokens of a listing's prompt of the hidden states in some layers, float32 of shape
    (texts, layers * hidden size).

    `depths` names the layers as shares of the model's depth, 1.0 the last: what the last layers hold is about
    the next token, those in the middle tell more of the text (Skean et al. 2025, arXiv:2502.02013).
    """
    import torch

    prompts = [prompt_of(text, task) for text in texts]
    ids = [prompt_ids(tokenizer, text, task.tokens) for text in prompts]
    layers = chosen_layers(depths, model.config.num_hidden_layers)
    result = np.empty((len(texts), len(layers) * model.config.hidden_size), dtype=np.float32)
    for rows in batches([len(row) for row in ids], batch_size, title):
        tokens, real, positions = (part.to(model.device) for part in left_padded([ids[row] for row in rows]))
        inputs = {"input_ids": tokens, "attention_mask": real, "position_ids": positions}
        with torch.inference_mode():
            states = model(
                **inputs, output_hidden_states=True, use_cache=False, logits_to_keep=1
            ).hidden_states
            share = (real / real.sum(dim=1, keepdim=True))[:, None, :].float()
            means = [(share @ states[layer].float())[:, 0] for layer in layers]
        result[rows] = torch.cat(means, dim=1).cpu().numpy()
    return result


def chosen_layers(depths: list[float], layers: int) -> list[int]:
    """The layers at these shares of a model's depth, from 1 to `layers`, each once."""
    return sorted({min(layers, max(1, round(depth * layers))) for depth in depths})
