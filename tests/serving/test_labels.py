"""A version that answers labels: by itself, and over real HTTP from a real registry."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components import register
from components.core import registry, tracking
from components.core.errors import PricewrightError
from components.evaluation.label_sets import SetCalibration
from components.model.label_head import label_distribution, save_head
from components.serving import pyfunc
from tests.support.project import ROOT
from tests.support.served import LABELS, NAMES, write_labelled
from tests.support.service import NAME, counted, own_registry, predicted, running, section

TEXTS = ["Oak desk", "Wireless headphones with noise cancelling", "Cast iron pan"]


@pytest.fixture(scope="module")
def served(tiny_base: Path, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled(tiny_base, tiny_adapter, tmp_path_factory.mktemp("model"), batch_size=2)


@pytest.fixture(scope="module")
def predictor(served: Path) -> pyfunc.Predictor:
    return pyfunc._load_pyfunc(str(served))


def descriptions(*texts: str) -> pd.DataFrame:
    return pd.DataFrame({"description": pd.Series(texts, dtype=str)})


# --- by itself ---------------------------------------------------------------------------------------


def test_an_answer_is_the_likeliest_name_its_probability_and_the_set_from_the_likeliest_down(
    predictor: pyfunc.Predictor,
) -> None:
    answer = predictor.predict(descriptions(*TEXTS))
    distribution = predictor.served.distribution(TEXTS, "test")
    assert list(answer.columns) == ["value", "probability", "labels"]
    assert distribution.shape == (3, len(NAMES))
    for row, masses in zip(answer.to_dict("records"), distribution, strict=True):
        ranked = [NAMES[place] for place in np.argsort(-masses)]
        assert row["value"] == row["labels"][0] == ranked[0]
        assert row["probability"] == pytest.approx(masses.max())
        assert row["labels"] == ranked[: int((masses >= 0.25).sum())]


def test_the_set_goes_as_far_as_serving_json_says(predictor: pyfunc.Predictor, tmp_path: Path) -> None:
    settings = predictor.settings
    wide = replace(settings, calibration=SetCalibration(0.9, 0.0))
    wide.write(tmp_path)
    assert pyfunc.Settings.read(tmp_path) == wide
    predictor.settings = wide
    sets = predictor.predict(descriptions("Oak desk"))["labels"]
    predictor.settings = settings
    assert sorted(sets[0]) == list(NAMES)


def test_no_rows_give_no_rows_of_the_same_types(predictor: pyfunc.Predictor) -> None:
    answer = predictor.predict(descriptions())
    assert list(answer.columns) == ["value", "probability", "labels"]
    assert answer.empty
    assert answer.dtypes.astype(str).tolist() == ["str", "float64", "object"]


@pytest.mark.parametrize("options", [{"point": "mean"}, {"quantiles": 5}])
def test_what_is_of_numbers_alone_is_refused(predictor: pyfunc.Predictor, options: dict[str, Any]) -> None:
    with pytest.raises(
        PricewrightError, match=f"^{next(iter(options))} is of numbers, and a label is answered"
    ):
        predictor.predict(descriptions("Oak desk"), options)


def test_a_head_beside_the_model_is_read_in_place_of_its_completions(
    served: Path, predictor: pyfunc.Predictor
) -> None:
    import torch

    own, plain = predictor.served, predictor.served.distribution(TEXTS, "test")
    weights = torch.randn(
        len(NAMES), own.tuned.config.hidden_size, generator=torch.Generator().manual_seed(0)
    )
    save_head(weights, served)
    headed = pyfunc.Served(served, predictor.settings).distribution(TEXTS, "test")
    (served / "label_head.safetensors").unlink()
    options: dict[str, Any] = {"batch_size": 2, "title": "test"}
    expected = label_distribution(own.tuned, weights, own.tokenizer, TEXTS, LABELS, **options)
    assert np.allclose(headed, expected, atol=1e-6)
    assert not np.allclose(headed, plain, atol=1e-3)


# --- as a service ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(
    served: Path, predictor: pyfunc.Predictor, tmp_path_factory: pytest.TempPathFactory, empty_store: Path
) -> Iterator[Path]:
    """A registry whose champion answers labels; the second version was registered with another answer."""
    folder = tmp_path_factory.mktemp("registry")
    answer = predictor.predict(register.EXAMPLE)
    other = answer.assign(value=[next(name for name in NAMES if name != value) for value in answer["value"]])
    with own_registry(folder, empty_store):
        for promised in (answer, other):
            with tracking.stage_run("register", {}, "abc") as run:
                registry.register_version(
                    run.id,
                    NAME,
                    data_path=served,
                    loader_module="components.serving.pyfunc",
                    code_path=ROOT / "components",
                    example=register.EXAMPLE,
                    answer=promised,
                    options=pyfunc.OPTIONS["label"],
                    requirements=["pandas"],
                    evidence=[],
                    card="# A card",
                    tags={},
                )
        yield folder


@pytest.fixture(autouse=True)
def _at_home(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "made" in request.fixturenames:
        monkeypatch.chdir(request.getfixturevalue("made"))
        tracking.connect()


def test_a_version_of_labels_is_served_kept_counted_and_explained(
    made: Path, predictor: pyfunc.Predictor
) -> None:
    text = TEXTS[1]
    [expected] = predictor.predict(descriptions(text)).to_dict("records")
    registry.set_alias(NAME, "champion", "1")

    def trained_on(_: registry.Version) -> pd.DataFrame:
        return pd.DataFrame([("A lamp", "A lamp of brass", 2.0)], columns=["title", "text", "value"])

    async def talk() -> None:
        async with running(section(store="sqlite:///requests.db"), trained_on=trained_on) as (client, _):
            version = (await client.get("/version")).json()
            assert (version["names"], version["unit"], version["coverage"]) == (list(NAMES), "", 0.8)
            assert [column["name"] for column in version["outputs"]] == ["value", "probability", "labels"]
            assert version["params"] == []
            [answer] = (await predicted(client, text))["answers"]
            assert (answer["value"], answer["labels"]) == (expected["value"], expected["labels"])
            assert answer["probability"] == pytest.approx(expected["probability"], abs=1e-5)
            rows = {"dataframe_records": [{"description": text}, {"description": TEXTS[0]}]}
            both = (await client.post("/invocations", json=rows)).json()["predictions"]
            assert len(both) == 2
            assert both[0]["value"] == expected["value"]
            refused = await client.post("/predict?quantiles=5", json={"description": text})
            assert refused.status_code == 400
            words = (await client.post("/words", json={"description": text})).json()
            assert words["column"] == "probability"
            assert len(words["words"]) == len(text.split())
            assert all(-1 <= word["effect"] <= 1 for word in words["words"])
            near = (await client.post("/nearest", json={"description": "a lamp"})).json()["listings"]
            assert near[0] == {"title": "A lamp", "value": NAMES[2]}
            counts = await counted(client)
            values = [answer["value"], *(row["value"] for row in both)]
            for name in set(values):
                sample = f'pricewright_label_total{{label="{name}",version="1"}}'
                assert counts[sample] == values.count(name)
            assert not any("pricewright_answer_bucket" in name for name in counts)

    asyncio.run(talk())
    with closing(sqlite3.connect(made / "requests.db")) as database:
        [kept] = database.execute("SELECT answer FROM requests ORDER BY id LIMIT 1").fetchone()
    assert set(json.loads(kept)) == {"value", "probability", "labels"}
    assert json.loads(kept)["labels"] == expected["labels"]


def test_a_version_that_answers_its_example_with_another_label_is_not_served(made: Path) -> None:
    registry.set_alias(NAME, "champion", "2")

    async def talk() -> None:
        with pytest.raises(PricewrightError, match="row 0 of its registered example with value"):
            async with running(section()):
                pass

    asyncio.run(talk())
