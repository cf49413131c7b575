"""Section `base` of params.yaml: the model that everything below adapts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.core.params.section import Count, Rate, Section, Seed


class Pretraining(Section):
    """How the embedded base model is made from generated text."""

    question: Annotated[str, Field(min_length=1)]
    """What its prompts ask, as `task.question`: for a price in whole dollars."""
    answer: Annotated[str, Field(pattern=r"\S$")]
    """How its answers begin, as `task.answer`."""
    seed: Seed
    texts: Count
    """Generated listings, none of which is in the demo shop."""
    vocabulary: Annotated[int, Field(ge=1400)]
    """Tokens of the byte-level BPE, the 1,000 price tokens included."""
    hidden_size: Annotated[int, Field(ge=1, multiple_of=64)]
    layers: Count
    heads: Count
    intermediate_size: Annotated[int, Field(ge=1, multiple_of=64)]
    """Like hidden_size a multiple of 64, the block in which NF4 is packed on a CPU."""
    context: Count
    """Longest text in tokens."""
    epochs: Count
    batch_size: Count
    learning_rate: Rate
    price_weight: Annotated[float, Field(ge=1)]
    """Weight of the price token in the loss; every other token has weight 1."""
    price_spread: Annotated[float, Field(gt=0)]
    """Sigma of the logarithm with which the price token's target is spread over the dollars around it."""


class Package(Section):
    """A GGUF file in a wheel of the package index; the wheel is read, never installed."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
    version: Annotated[str, Field(pattern=r"^\d[\w.+!-]*$")]
    file: Annotated[str, Field(pattern=r"\.gguf$")]
    """Its path within the wheel."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Of that file."""


class Base(Section):
    """The model that everything below adapts."""

    model: str
    """`embedded`, `package`, a GGUF file, a local directory in the Hugging Face layout, or the id of a hub
    model."""
    revision: str | None
    """Commit of the hub model, 40 hex digits; needed for a hub model and only there."""
    package: Package | None
    """Where the model is, for `package`."""
    four_bit: bool
    """Whether it is held in NF4 while adapters are trained on it and it is read (QLoRA, arXiv:2305.14314): a
    sixth of the memory. Otherwise as it is, multiplying in bfloat16 where a CPU can: faster there."""
    pretraining: Pretraining
