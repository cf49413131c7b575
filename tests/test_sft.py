"""Supervised fine-tuning."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import Trainer

from components import sft as stage_file
from components.core.params.file import Params
from components.model import adapters, loading, training
from tests.support.project import TASK, asked


def test_the_loss_is_on_the_completion_only(tiny_base: Path, tiny_items: pd.DataFrame) -> None:
    tokenizer = loading.load_tokenizer(tiny_base)
    rows = stage_file.examples(tokenizer, tiny_items, asked(tokens=128, maximum=999))
    for row, price in zip(rows, tiny_items["target"], strict=True):
        kept = [label for label in row["labels"] if label != -100]
        assert tokenizer.decode(kept, skip_special_tokens=True) == TASK.completion(price)
        assert kept[-1] == tokenizer.eos_token_id
        assert row["input_ids"][-len(kept) :] == kept


def test_training_lowers_the_loss_and_tracks_it(
    tiny_base: Path, tiny_params: Params, tiny_items: pd.DataFrame, tmp_path: Path, recorder: Any
) -> None:
    section = tiny_params.sft.model_copy(update={"epochs": 10.0, "learning_rate": 1e-2})
    curves = training.Curves(recorder)
    stage_file.sft(tiny_items, section, TASK, tiny_base, tmp_path / "scratch", curves)
    losses = [value for name, value, _ in recorder.points if name == "curve.loss"]
    assert len(losses) == 3
    assert [line["loss"] for line in curves.losses] == losses
    assert losses[-1] < losses[0] - 0.1


def test_it_stops_when_rows_held_out_say_so_and_keeps_the_best_adapter(
    tiny_base: Path, tiny_params: Params, tiny_items: pd.DataFrame, tmp_path: Path, recorder: Any
) -> None:
    """A rate at which 33 rows are soon known by heart."""
    values = {"epochs": 60.0, "learning_rate": 3e-2, "held_out": 0.3, "patience": 2, "save_steps": 2}
    section, curves = tiny_params.sft.model_copy(update=values), training.Curves(recorder)
    model = stage_file.sft(tiny_items, section, TASK, tiny_base, tmp_path / "scratch", curves)
    losses = {line["step"]: line["loss"] for line in curves.held_out}
    best = min(losses, key=lambda step: losses[step])
    assert max(losses) == best + 2 * 2
    assert max(losses) < 60 * 3
    adapters.save_adapter(model, tmp_path / "kept")
    kept, there = (
        load_file(folder / "adapter_model.safetensors")
        for folder in (tmp_path / "kept", tmp_path / "scratch" / f"checkpoint-{best}")
    )
    for name, weight in there.items():
        torch.testing.assert_close(kept[name], weight)


def test_what_is_held_out_is_whole_products() -> None:
    items = pd.DataFrame({"product": [f"p{row // 3}" for row in range(300)], "target": range(300)})
    trained, held_out = stage_file.divided(items, 0.2, 7)
    assert len(trained) == 240
    assert len(held_out) == 60
    assert not set(trained["product"]) & set(held_out["product"])
    assert len(stage_file.divided(items, 0.0, 7)[1]) == 0


def test_a_base_in_bfloat16_learns_as_the_one_in_nf4_does(
    tiny_base: Path, tiny_params: Params, tiny_items: pd.DataFrame, tmp_path: Path, recorder: Any
) -> None:
    section = tiny_params.sft.model_copy(update={"epochs": 10.0, "learning_rate": 1e-2})
    whole, ends = Path(shutil.copytree(tiny_base, tmp_path / "whole")), []
    loading.mark(whole, loading.WHOLE, True)
    for base in (tiny_base, whole):
        curves, scratch = training.Curves(recorder), tmp_path / f"scratch-{base.name}"
        stage_file.sft(tiny_items, section, TASK, base, scratch, curves)
        ends.append(curves.losses[-1]["loss"])
    assert ends[1] == pytest.approx(ends[0], rel=0.1)


def test_a_killed_run_carries_on_from_its_checkpoint_with_the_same_result(
    tiny_base: Path, tiny_params: Params, tiny_items: pd.DataFrame, tmp_path: Path, recorder: Any
) -> None:
    section = tiny_params.sft.model_copy(update={"epochs": 2.0, "save_steps": 4})
    curves = training.Curves(recorder)
    whole = stage_file.sft(tiny_items, section, TASK, tiny_base, tmp_path / "whole", curves)

    class Killed(Exception):
        """The kill."""

    class Killer:
        def metric(self, *_: Any, **__: Any) -> None:
            raise Killed

    # six steps in all; the first line is logged at the end, after the checkpoint of step 4
    with pytest.raises(Killed):
        stage_file.sft(
            tiny_items,
            section,
            TASK,
            tiny_base,
            tmp_path / "cut",
            training.Curves(Killer()),
        )  # type: ignore[arg-type]
    assert [folder.name for folder in (tmp_path / "cut").glob("checkpoint-*")]
    resumed = stage_file.sft(tiny_items, section, TASK, tiny_base, tmp_path / "cut", curves)
    for (name, first), (_, second) in zip(whole.named_parameters(), resumed.named_parameters(), strict=True):
        if "lora_" in name:
            torch.testing.assert_close(first, second, msg=name)


def test_a_full_disk_in_a_checkpoint_costs_the_steps_since_the_one_before(
    tiny_base: Path,
    tiny_params: Params,
    tiny_items: pd.DataFrame,
    tmp_path: Path,
    recorder: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    section = tiny_params.sft.model_copy(update={"epochs": 2.0, "save_steps": 2})
    arguments = (tiny_items, section, TASK, tiny_base)
    undisturbed = stage_file.sft(*arguments, tmp_path / "undisturbed", training.Curves(recorder))
    save = Trainer._save_optimizer_and_scheduler

    def full_disk(trainer: Trainer, folder: str) -> None:
        if folder.endswith("-4"):
            Path(folder, "optimizer.pt").write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(trainer, folder)

    monkeypatch.setattr(Trainer, "_save_optimizer_and_scheduler", full_disk)
    with pytest.raises(OSError, match="No space left"):
        stage_file.sft(*arguments, tmp_path / "cut", training.Curves(recorder))
    monkeypatch.setattr(Trainer, "_save_optimizer_and_scheduler", save)
    assert (tmp_path / "cut/checkpoint-4/adapter_model.safetensors").exists()
    assert training.last_checkpoint(tmp_path / "cut") == str(tmp_path / "cut/checkpoint-2")
    resumed = stage_file.sft(*arguments, tmp_path / "cut", training.Curves(recorder))
    for (name, first), (_, second) in zip(
        undisturbed.named_parameters(), resumed.named_parameters(), strict=True
    ):
        if "lora_" in name:
            torch.testing.assert_close(first, second, msg=name)
