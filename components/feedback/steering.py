"""Listings with and without a text that wants to set the answer: the one that did not move is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from components.core.errors import PricewrightError
from components.feedback.result import Preferences
from components.model.prompt import parse_number

LISTING = "{text}"


def load_templates(path: Path) -> list[str]:
    """The steering texts of a YAML list. Raises PricewrightError where one has no place for the listing."""
    try:
        templates: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise PricewrightError(f"{path} cannot be read: {error}. See preferences.steering.path") from error
    rows = templates if isinstance(templates, list) else []
    wrong = [row for row in rows if not isinstance(row, str) or row.count(LISTING) != 1]
    if not rows or wrong:
        raise PricewrightError(
            f"{path}: {wrong[0]!r} is no text with {LISTING} once in it"
            if wrong
            else f"{path} is no list of texts"
        )
    return rows


def steered(texts: pd.Series, templates: list[str], seed: int) -> list[str]:
    """Each listing inside one of the templates, drawn at random."""
    drawn = np.random.default_rng(seed).integers(0, len(templates), len(texts))
    return [
        templates[place].replace(LISTING, text) for place, text in zip(drawn.tolist(), texts, strict=True)
    ]


def pairs(
    ids: list[str], prompts: list[str], plain: list[str], moved: list[str], *, margin_min: float
) -> Preferences:
    """A pair of each listing whose answer the text moves by at least `margin_min`.

    `prompts` are those with the text; `plain` is the likeliest completion without it, `moved` that with it.
    The figures have `share_moved`, of all listings.
    """
    result = Preferences("steering")
    for id_, prompt, chosen, rejected in zip(ids, prompts, plain, moved, strict=True):
        stays, goes = parse_number(chosen), parse_number(rejected)
        if stays is None:
            result.reject(id_, "without the steering text the answer is no number")
        elif goes is not None and abs(goes - stays) < max(margin_min, 1e-9):
            result.reject(id_, f"the steering text moves the answer by less than {margin_min:g}")
        else:
            result.pair(id_, prompt, chosen, rejected, None if goes is None else abs(goes - stays))
    result.figures = {"share_moved": len(result.pairs) / len(ids)}
    return result
