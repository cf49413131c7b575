"""The served model answers like the merged one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from components import modeling
from components import quantize as stage_file
from components.calibration import Calibration
from components.records import PricewrightError
from components.serving import Settings

TEXTS = ["Oak desk, four legs", "Wireless headphones with noise cancelling", "A 256GB drive"]
SETTINGS = Settings(price_max=999, prompt_tokens=64, batch_size=2, calibration=Calibration.uncalibrated(0.8))


def test_the_written_model_answers_like_the_one_in_memory(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    sizes = stage_file.quantize(tiny_base, tiny_adapter, tmp_path / "served", tmp_path / "merged", "nf4")
    assert sizes["bytes_served"] < sizes["bytes_merged"]
    tokenizer = modeling.load_tokenizer(tmp_path / "served")
    fresh = modeling.load_served(tmp_path / "served")
    memory = modeling.load_model(tmp_path / "merged")
    np.testing.assert_allclose(
        SETTINGS.distribution(fresh, tokenizer, TEXTS, "fresh"),
        SETTINGS.distribution(memory, tokenizer, TEXTS, "memory"),
        atol=1e-5,
    )
    assert not list((tmp_path / "served").glob("*.bin"))


def test_format_none_is_the_merged_model(tiny_base: Path, tiny_adapter: Path, tmp_path: Path) -> None:
    stage_file.quantize(tiny_base, tiny_adapter, tmp_path / "served", tmp_path / "merged", "none")
    served = modeling.load_served(tmp_path / "served")
    for one, other in zip(
        served.parameters(), modeling.merged(tiny_base, tiny_adapter).parameters(), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_parity_is_measured_on_the_same_rows() -> None:
    true, merged = np.array([100.0, 200.0, 10.0]), np.array([110.0, 190.0, 10.0])
    found = stage_file.parity(true, merged, served=np.array([110.0, 170.0, 10.0]))
    assert found == pytest.approx(
        {"mae_merged": 20 / 3, "mae_served": 40 / 3, "mean_change": 20 / 3, "share_moved": 1 / 3}
    )


def test_a_model_that_answers_worse_is_refused() -> None:
    stage_file.check({"mae_served": 31.9, "mae_merged": 31.0}, "nf4", 1.0)
    with pytest.raises(
        PricewrightError, match="nf4 model errs 1.50 dollars more .* set quantize.format to none"
    ):
        stage_file.check({"mae_served": 32.5, "mae_merged": 31.0}, "nf4", 1.0)
