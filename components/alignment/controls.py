"""What an alignment method has to beat: SFT that is as sure of itself, and SFT that read the same data.

A policy that merely sharpens what SFT knows errs less when it is sampled: nearer to the median is less far
off. And one that learned anything of the preference split learned of its targets, from which SFT could have
learned the plain way. A method that beats neither has added nothing of its own.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import brentq

from components.alignment.fine_tuning import fine_tune
from components.alignment.task import AlignmentTask
from components.core.params.align import SftContinued
from components.evaluation.resampling import Floats
from components.model import adapters

TEMPERATURE_MIN = 0.01  # nearly greedy; equal answers at the top keep some entropy at any temperature


def continue_sft(
    task: AlignmentTask, section: SftContinued, *, steps: int, batch_size: int
) -> list[torch.Tensor]:
    """The weights of the SFT adapter after `steps` more of `batch_size` right answers of the preference split
    each, as many as the method had. The policy is left as it was.

    Not one run for all methods: the rate falls to 0 over the steps, so that the weights after n steps of a
    longer run are not those of n steps, and with another batch size a step has read other rows. A control
    that had more or fewer answers than the method would prove less.
    """
    start = adapters.adapter_weights(task.model, "reference")
    with adapters.policy_at(task.model, start):
        fine_tune(
            task,
            list(task.prompts["prompt"]),
            [task.answers.spell(target) for target in task.prompts["target"]],
            [],
            seed=section.seed,
            max_steps=steps,
            per_device_train_batch_size=batch_size,
            learning_rate=section.learning_rate,
        )
        return [weight.detach().clone() for weight in adapters.adapter_weights(task.model, "default")]


def tempered(masses: np.ndarray, temperature: float) -> Floats:
    """The masses of `answer_masses`, (rows, answers), with answers drawn at a temperature: each to the
    power of 1 / temperature. How likely a completion is an answer at all stays as it was.
    """
    readable = masses.sum(axis=1, keepdims=True, dtype=np.float64)
    with np.errstate(divide="ignore"):
        logs = np.log(masses.astype(np.float64)) / temperature
    powers = np.exp(logs - np.maximum(logs.max(axis=1, keepdims=True), np.finfo(float).min))
    sums = powers.sum(axis=1, keepdims=True)
    return np.asarray(readable * powers / np.where(sums > 0, sums, 1.0))


def entropy(masses: np.ndarray) -> float:
    """Of the answer, given that a completion is one, in nats: the mean over rows of `answer_masses`."""
    readable = masses.sum(axis=1, keepdims=True, dtype=np.float64)
    answers = masses / np.where(readable > 0, readable, 1.0)
    logs = np.log(np.where(answers > 0, answers, 1.0))
    return float(-(answers * logs).sum(axis=1).mean())


def matching_temperature(masses: np.ndarray, target: float) -> float:
    """The temperature at which answers have a mean entropy of `target` nats, from TEMPERATURE_MIN to 1.

    A control that is surer than the policy by itself stays as it is: flattened, it would only be worse.
    """

    def excess(log_temperature: float) -> float:
        return entropy(tempered(masses, float(np.exp(log_temperature)))) - target

    lowest = float(np.log(TEMPERATURE_MIN))
    if excess(0.0) <= 0:
        return 1.0
    return TEMPERATURE_MIN if excess(lowest) >= 0 else float(np.exp(brentq(excess, lowest, 0.0)))
