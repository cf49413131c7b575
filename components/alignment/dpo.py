"""Direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290), by TRL.

The policy starts at the SFT adapter; the reference model is a frozen copy of that adapter on the same
4-bit base, so that one base in memory serves both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from components import modeling
from components.params import Dpo


def align(
    pairs: pd.DataFrame,
    section: Dpo,
    *,
    base: Path,
    adapter: Path,
    reward: Path,  # noqa: ARG001 - DPO needs no reward model; every method is called alike
    scratch: Path,
    curves: modeling.Curves,
) -> tuple[Any, dict[str, Any]]:
    """Train the adapter on pairs (columns of `Pair`); returns the PEFT model and the last reward figures.

    Margins and accuracies are of the implicit reward, beta times the log-ratio of policy and reference.
    """
    modeling.seed_everything(section.seed)
    tokenizer = modeling.load_tokenizer(base)
    model = modeling.continued(base, adapter)
    options = DPOConfig(
        **modeling.trainer_options(scratch, section.seed),
        beta=section.beta,
        num_train_epochs=section.epochs,
        per_device_train_batch_size=section.batch_size,
        learning_rate=section.learning_rate,
        save_strategy="no",
        max_length=None,  # prompts are cut already
    )
    with modeling.full_precision(model):
        trainer = DPOTrainer(
            model,
            args=options,
            train_dataset=Dataset.from_pandas(pairs[["prompt", "chosen", "rejected"]], preserve_index=False),
            processing_class=tokenizer,
            callbacks=[curves],
        )
    modeling.train(trainer)
    last: dict[str, Any] = next(
        (line for line in reversed(trainer.state.log_history) if "rewards/margins" in line), {}
    )
    figures = {name.replace("/", "_"): value for name, value in last.items() if name.startswith("rewards/")}
    return trainer.model, {"pairs": len(pairs), "steps": trainer.state.global_step, **figures}
