"""Section `sft` of params.yaml: supervised fine-tuning with QLoRA."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.core.params.section import Count, Rate, Section, Seed


class Lora(Section):
    """A low-rank adapter (Hu et al. 2021, arXiv:2106.09685) on the linear parts of the last layers."""

    rank: Count
    alpha: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]
    layers: Annotated[float, Field(gt=0, le=1)]
    """Share of the layers, from the last one down, that get an adapter. On a CPU those below are computed
    once for each row by SFT, reward and DPO, which is why fewer are faster."""


class Sft(Section):
    """Supervised fine-tuning with QLoRA (Dettmers et al. 2023, arXiv:2305.14314)."""

    seed: Seed
    lora: Lora
    epochs: Annotated[float, Field(gt=0)]
    batch_size: Count
    gradient_accumulation_steps: Count
    """Batches per optimizer step."""
    learning_rate: Rate
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    held_out: Annotated[float, Field(ge=0, lt=1)]
    """Share of the train split, in whole products, whose loss is measured at every checkpoint, and on which
    nothing is trained; 0 measures none and trains to the end."""
    patience: Count
    """Checkpoints without a lower loss after which training stops; the adapter of the lowest is kept."""
    save_steps: Count
    """Optimizer steps between two checkpoints, from which a killed run resumes."""
