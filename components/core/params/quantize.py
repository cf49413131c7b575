"""Section `quantize` of params.yaml: the served model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from components.core.params.section import Count, Section, Share


class Quantize(Section):
    """The served model."""

    formats: Annotated[list[Literal["nf4", "int8", "w4a16", "gguf", "bfloat16", "none"]], Field(min_length=1)]
    """Tried in this order, the first within all budgets is served. `nf4`: bitsandbytes NF4 with double
    quantization; `int8`: bitsandbytes LLM.int8(); `w4a16`: compressed-tensors by llm-compressor, for vLLM
    (the extra of that name); `gguf`: Q8_0 by llama.cpp's converter, where that is on the PATH (and the extra
    of that name); `none`: the merged model in full precision."""
    batch_size: Count
    loss_tolerance: Annotated[float, Field(gt=0)]
    """In the unit of the task: the 95% interval of the change of the mean validation loss against the merged
    model has to lie within so much of zero.
    """
    moved: Share
    """An answer has moved if it changed by more than this share of the merged model's, a label if it changed.
    """
    moved_share_max: Annotated[float, Field(ge=0, le=1)]
    """Largest share of validation answers that may have moved."""
    size_ratio_max: Annotated[float, Field(gt=0)]
    """Largest size in bytes, over the merged model's."""
    latency_ratio_max: Annotated[float, Field(gt=0)]
    """Longest time for the same rows, over the merged model's; generous, for clocks are noisy."""
