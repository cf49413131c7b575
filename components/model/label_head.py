"""A classification head in place of the vocabulary's: the logit of each label from the last token's hidden
state.

    log p(label | prompt)  =  w(label) . h(last token) - log of the sum over all labels

The usual way to fine-tune a language model for classification, as `AutoModelForSequenceClassification` has
it. The head is kept as a matrix beside a causal model, so that such a model is merged, quantized and served
as any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from components.model.prompt import Asked, prompt_of
from components.model.tokens import batches, left_padded, prompt_ids

LABEL_HEAD = "label_head"
"""The candidate that reads labels by a head, and the folder of its adapter within that of sft."""
HEAD = "label_head.safetensors"
"""File beside a model, or in the folder of an adapter, with the weights of its head, (labels, hidden size).
"""


def save_head(weights: torch.Tensor, folder: Path) -> None:
    """Write the weights of a head, (labels, hidden size), beside a model."""
    save_file({"weight": weights.detach().float().cpu().contiguous()}, folder / HEAD)


def load_head(folder: Path) -> torch.Tensor | None:
    """The weights of the head beside a model, None where it has none."""
    return load_file(folder / HEAD)["weight"] if (folder / HEAD).is_file() else None


def label_distribution(
    model: Any,
    head: torch.Tensor,
    tokenizer: Any,
    texts: list[str],
    task: Asked,
    *,
    batch_size: int,
    title: str,
) -> np.ndarray:
    """Probability of each label, float32 (texts, labels), rows sum to 1: that of the head on the hidden state
    of the last token of each listing's prompt.
    """
    ids = [prompt_ids(tokenizer, prompt_of(text, task), task.tokens) for text in texts]
    result = np.empty((len(ids), len(head)), dtype=np.float32)
    decoder, weights = _decoder(model), head.to(model.device)
    for rows in batches([len(row) for row in ids], batch_size, title):
        tokens, real, positions = (part.to(model.device) for part in left_padded([ids[row] for row in rows]))
        with torch.inference_mode():
            states = decoder(
                input_ids=tokens, attention_mask=real, position_ids=positions, use_cache=False
            ).last_hidden_state[:, -1]
            result[rows] = torch.softmax(states.float() @ weights.T, dim=-1).cpu().numpy()
    return result


def _decoder(model: Any) -> Any:
    """What gives hidden states: of a model with an adapter, that of the model within."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.base_model
