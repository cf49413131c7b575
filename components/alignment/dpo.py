"""Direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290), by TRL.

The policy starts at the SFT adapter; the reference is a frozen copy of that adapter on the same 4-bit base,
so that one base in memory serves both.
"""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from components.alignment.task import AlignmentTask
from components.core.params.align import Dpo
from components.model import training
from components.model.examples import answer_ids


class OnTokens(DPOTrainer):
    """The trainer on rows that are token ids already: it would join texts and make ids of its own."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


def token_pairs(task: AlignmentTask) -> list[dict[str, list[int]]]:
    """`prompt_ids`, `chosen_ids` and `rejected_ids` of each pair, as a model reads them."""
    return [
        {
            "prompt_ids": list(pair.prompt),
            "chosen_ids": answer_ids(task.tokenizer, pair.chosen),
            "rejected_ids": answer_ids(task.tokenizer, pair.rejected),
        }
        for pair in task.pairs.itertuples()
    ]


def align(task: AlignmentTask, section: Dpo) -> dict[str, Any]:
    """Train the policy on the pairs; returns the last figures of the implicit reward, beta times the
    log-ratio of policy and reference: of chosen, of rejected, their margin, the share of pairs in order.
    """
    options = DPOConfig(
        **training.trainer_options(task.scratch, section.seed),
        loss_type=list(section.loss_type),
        label_smoothing=section.label_smoothing,
        beta=section.beta,
        num_train_epochs=section.epochs,
        per_device_train_batch_size=section.batch_size,
        learning_rate=section.learning_rate,
        save_strategy="no",
        max_length=None,  # prompts are cut already
    )
    rows = Dataset.from_list(token_pairs(task))
    callbacks = [task.curves, task.monitor]
    trainer: Any = training.train(OnTokens, task.model, rows, options, task.tokenizer, callbacks)
    last: dict[str, Any] = next(
        (line for line in reversed(trainer.state.log_history) if "rewards/margins" in line), {}
    )
    figures = {name.replace("/", "_"): value for name, value in last.items() if name.startswith("rewards/")}
    return {"pairs": len(task.pairs), "steps": trainer.state.global_step, **figures}
