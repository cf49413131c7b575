"""Listings of another catalogue: cleaned like one's own, rejected with a reason, refused where unreadable."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.curation.columnar import cleaned
from components.evaluation.elsewhere import elsewhere

KETTLE = {"title": "Steel kettle", "description": "Holds two litres, now only $24.50", "price": 24.5}
ROWS = [
    KETTLE,
    KETTLE,
    {"title": "Copper pan with a lid", "description": "For gas and oven", "price": "80"},
    {"title": "Wooden spoon for soups", "description": None, "price": None},
    {"title": "Chandelier of Bohemian glass", "description": "", "price": 250000},
    {"title": "Set of six plates, blue", "description": "", "price": "ask"},
]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_prices_leave_the_texts_and_rows_are_rejected_with_a_reason(
    kind: str, tmp_path: Path, params: Params
) -> None:
    path, table = tmp_path / f"other.{kind}", pd.DataFrame(ROWS)
    if kind == "csv":
        table.to_csv(path, index=False)
    elif kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    else:
        table.assign(price=table["price"].map(str, na_action="ignore")).to_parquet(path)
    listings, rejected = elsewhere(path, partial(cleaned, section=params.curate, task=params.task, names=[]))
    assert listings["target"].tolist() == [24.5, 80.0]
    assert listings["text"][0].startswith("Steel kettle")
    assert "24" not in listings["text"][0]
    assert rejected == {"exact_duplicate": 1, "no_price": 1, "price_out_of_range": 1, "unreadable_price": 1}


def test_a_file_that_cannot_be_used_is_refused_with_what_to_do(tmp_path: Path, params: Params) -> None:
    cases = {
        "other.csv": ("title,price\na,1\n", "has no column description"),
        "empty.csv": ("title,description,price\n", r"no listing that may be used \(it is empty\)"),
        "none.csv": ("title,description,price\nSpoon,Of wood from the hills,0\n", "price_out_of_range 1"),
        "broken.jsonl": ('{"title": ', "is not readable"),
        "broken.parquet": ("PAR1", "is not readable"),
        "other.xml": ("<a/>", "is of no kind that is read here"),
    }
    for name, (text, match) in cases.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(PricewrightError, match=rf"{name}(.|\n)*{match}(.|\n)*evaluate.elsewhere"):
            elsewhere(tmp_path / name, partial(cleaned, section=params.curate, task=params.task, names=[]))
    with pytest.raises(PricewrightError, match=r"gone\.csv is not readable"):
        elsewhere(tmp_path / "gone.csv", partial(cleaned, section=params.curate, task=params.task, names=[]))
