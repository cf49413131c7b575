"""The served model: what `mlflow models serve` and `predict` load.

`_load_pyfunc` is MLflow's hook for a model that is a folder and code, with no pickle. The folder holds
the quantized model in the Hugging Face layout, its tokenizer, and serving.json.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from components import modeling, pricing
from components.calibration import Calibration
from components.records import PricewrightError

SETTINGS = "serving.json"
INPUT = "description"
POINT = "median"
"""What a price is where nobody asks for another point of the distribution."""


@dataclass(frozen=True)
class Settings:
    """How the model is asked: the values of params.yaml that its prices depend on."""

    price_max: int
    """Dollars; the distribution runs from 0 to this."""
    prompt_tokens: int
    batch_size: int
    calibration: Calibration
    """How far low and high go."""

    def distribution(self, model: Any, tokenizer: Any, texts: list[str], title: str) -> Any:
        """`pricing.price_distribution` of listing texts."""
        return pricing.price_distribution(
            model,
            tokenizer,
            [pricing.prompt(text) for text in texts],
            price_max=self.price_max,
            prompt_tokens=self.prompt_tokens,
            batch_size=self.batch_size,
            title=title,
        )

    def write(self, folder: Path) -> None:
        """Write `serving.json` beside the model."""
        (folder / SETTINGS).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Settings:
        """What `write` wrote."""
        found = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        return cls(**found | {"calibration": Calibration(**found["calibration"])})


class Pricer:
    """Prices descriptions with one model, held in memory."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings.read(folder)
        self.tokenizer = modeling.load_tokenizer(folder)
        self.model = modeling.load_served(folder)

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Columns price, low and high in dollars, one row for each in the column `description`.

        `params` may ask for another `point` of the distribution than the median: `mean` or `mode`. Raises
        PricewrightError for an unknown one, and for an empty or missing description.
        """
        point = (params or {}).get("point", POINT)
        if point not in pricing.POINTS:
            raise PricewrightError(f"there is no point {point!r}: ask for one of {', '.join(pricing.POINTS)}")
        texts = [str(text).strip() for text in frame[INPUT].fillna("")]
        empty = [row for row, text in enumerate(texts) if not text]
        if empty:
            raise PricewrightError(f"row {empty[0]} has no {INPUT}: there is nothing to price")
        if not texts:
            return pd.DataFrame({name: pd.Series(dtype=float) for name in ("price", "low", "high")})
        distribution = self.settings.distribution(self.model, self.tokenizer, texts, "pricing")
        low, high = self.settings.calibration.interval(distribution)
        return pd.DataFrame({"price": pricing.POINTS[point](distribution), "low": low, "high": high})


def _load_pyfunc(path: str) -> Pricer:
    return Pricer(Path(path))
