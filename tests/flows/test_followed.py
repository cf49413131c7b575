"""What is served: the rows that a version was trained on, as the page shows them."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from components.core import registry
from components.core.errors import PricewrightError
from components.serving.nearest import Index
from flows.followed import trained_on
from tests.support.registered_repository import NAME


@pytest.mark.usefixtures("copied")
def test_the_rows_that_a_version_was_trained_on_are_found_by_its_lineage() -> None:
    version = registry.open_version(NAME, "1")
    train = pd.read_parquet("artifacts/curate/train.parquet")
    shutil.rmtree("artifacts/curate")  # DVC keeps them
    rows = trained_on(version)
    assert rows["title"].tolist() == train["title"].tolist()
    assert rows["value"].tolist() == train["target"].tolist()
    row = train.iloc[3]
    assert Index(rows).nearest(row["text"])[0] == {"title": row["title"], "value": row["target"]}
    shutil.rmtree(".dvc/cache")
    with pytest.raises(PricewrightError, match="train.parquet"):
        trained_on(version)
