"""A project that asks for labels, with a version of a real tiny model that answers them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from components import register
from components.core.schemas import SERVED_INPUT
from tests.support.project import environment_kept
from tests.support.registry import label, make_graph, register_served
from tests.support.served import LABELS, NAMES, write_labelled


@pytest.fixture(scope="module")
def labelled(
    tiny_base: Path,
    tiny_adapter: Path,
    tiny_items: pd.DataFrame,
    empty_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """The folder, in which the work is meanwhile. The first version is challenger, and right on every row."""
    from components.serving import pyfunc

    folder = tmp_path_factory.mktemp("labels")
    served = write_labelled(tiny_base, tiny_adapter, folder, batch_size=16)
    predictor = pyfunc.Predictor(served)
    answers = predictor.predict(pd.DataFrame({SERVED_INPUT: tiny_items["text"]}))
    with environment_kept(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PRICEWRIGHT_BY", "tester")
        shutil.copy(empty_store, "mlflow.db")
        make_graph(tiny_items.assign(target=answers["value"].map(LABELS.answers.place)), NAMES)
        params = Path("params.yaml").read_text(encoding="utf-8").replace("kind: number", "kind: label")
        Path("params.yaml").write_text(params, encoding="utf-8")
        register_served(served, predictor.predict(register.EXAMPLE), options=pyfunc.OPTIONS["label"])
        label(challenger="1")
        yield folder
