"""Prompts as alignment works on them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from components.model.examples import read_prompts


def as_ids(tokenizer: Any, table: pd.DataFrame) -> pd.DataFrame:
    """The table with each `prompt` as its token ids, cut to the model's context."""
    return table.assign(prompt=read_prompts(tokenizer, table["prompt"], tokenizer.model_max_length))
