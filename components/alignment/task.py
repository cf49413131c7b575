"""What an alignment method works on: the policy on its base, what it learns from, its monitor."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from components.alignment.monitor import Monitor
from components.alignment.rewards import RewardModel
from components.model import training
from components.model.answers import AnswerSet


class AlignmentTask(NamedTuple):
    """Every method takes one of these and its own section, trains `model` in place, returns its figures."""

    model: Any
    """From `adapters.load_policy`: its adapter `default` starts at the SFT adapter and is trained."""
    tokenizer: Any
    pairs: pd.DataFrame
    """Preferences, columns of `Pair`, each `prompt` as its token ids: `examples.read_prompts`."""
    prompts: pd.DataFrame
    """The prompts of the preference split, token ids as `prompt`, with the true `target`."""
    reward_model: RewardModel
    reward: Path
    """The folder of the reward model."""
    answers: AnswerSet
    """What may be answered."""
    error_max: float
    """The loss of a completion that is no answer."""
    under_cost: float
    """What an answer below the truth costs, in answers above it: that of the preferences."""
    scratch: Path
    curves: training.Curves
    monitor: Monitor
