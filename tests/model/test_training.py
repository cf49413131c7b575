"""What TRL's trainers have in common."""

from __future__ import annotations

from pathlib import Path

import torch

from components.model import adapters, training


def test_full_precision_undoes_the_rounding_of_a_trainer(tiny_base: Path, tiny_adapter: Path) -> None:
    model = adapters.resume_adapter(tiny_base, tiny_adapter)
    before = {name: weight.clone() for name, weight in model.named_parameters() if weight.requires_grad}
    with training.full_precision(model):
        for weight in model.parameters():
            if weight.requires_grad:
                weight.data = weight.data.to(torch.bfloat16)
    for name, weight in model.named_parameters():
        if name in before:
            assert weight.dtype is torch.float32
            assert torch.equal(weight, before[name])
