"""`make serve`: a registry without a champion, files that were touched, keys, and a real start."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow.tracking import MlflowClient

from components import register
from components.core import dvc, registry, tracking
from components.core.errors import PricewrightError
from components.core.registry import Version
from components.promotion import gate_rows
from components.serving import pyfunc
from flows import serve
from tests.support.constant import PRICES, register_constant
from tests.support.nosy_version import KEYS, register_nosy
from tests.support.project import ROOT
from tests.support.registry import crown, register_served
from tests.support.served import write_served
from tests.support.server import free_port, post, served, serving, wait


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, "mlflow.db")
    shutil.copy(ROOT / "params.yaml", "params.yaml")


def test_nothing_is_served_before_there_is_a_champion() -> None:
    before = psutil.Process().children()
    with pytest.raises(PricewrightError, match="^pricer has no champion yet: .* `make serve VERSION=n`"):
        serve.serve(free_port())
    assert psutil.Process().children() == before


def test_a_champion_that_no_decision_made_is_not_served_as_one() -> None:
    tracking.connect()
    registry.decision_log("pricer")
    MlflowClient().create_model_version("pricer", "model")
    MlflowClient().set_registered_model_alias("pricer", "champion", "1")
    with pytest.raises(PricewrightError, match="^the alias champion is at version 1, and the decisions have"):
        serve.serve(free_port())


def test_a_version_that_the_gate_has_not_passed_is_served_where_it_is_named_and_with_a_notice() -> None:
    tracking.connect()
    assert register_constant("pricer") == "1"
    with pytest.raises(PricewrightError, match="^pricer has no version 7"):
        serve.serve(free_port(), "7")
    listing = json.dumps({"dataframe_records": [{"description": "a lamp"}]}).encode()
    with served("/invocations", "flows.serve", "--version", "1", body=listing) as (answer, printed):
        assert json.loads(answer) == {"predictions": [PRICES]}
        assert "NOT THE CHAMPION (there is none): pricer version 1 answers on your own" in printed.read_text()
    assert registry.aliases("pricer") == {}


@pytest.fixture
def champion(tmp_path: Path) -> Version:
    """A champion whose code leaves the file `ran` where it runs, and looks for keys."""
    tracking.connect()
    number = register_nosy("pricer", tmp_path / "ran")
    crown(number)
    return registry.open_version("pricer", number)


@pytest.mark.usefixtures("champion")
def test_the_champion_is_served_from_a_copy_and_finds_no_key(tmp_path: Path, monkeypatch: Any) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    for name, value in (KEYS | {"TMPDIR": str(copies)}).items():
        monkeypatch.setenv(name, value)
    listing = json.dumps({"dataframe_records": [{"description": "a lamp"}]}).encode()
    with served("/invocations", "flows.serve", body=listing) as (answer, _):
        assert json.loads(answer) == {"predictions": [{"value": 0.0, "low": 0.0, "high": 1.0}]}
        assert (tmp_path / "ran").exists()
        assert list(copies.rglob("constant.py"))
    assert list(copies.rglob("constant.py")) == []


@pytest.mark.parametrize("changed", ["constant.py", "serving.json"])
def test_a_champion_whose_files_were_touched_is_not_served_and_none_of_its_code_runs(
    champion: Version, tmp_path: Path, changed: str
) -> None:
    [file] = tmp_path.glob(f"mlruns/**/artifacts/**/{changed}")
    file.write_text(file.read_text() + "\n")
    with pytest.raises(PricewrightError, match=f"^{champion} is not served: its files are not those"):
        serve.serve(free_port())
    assert not (tmp_path / "ran").exists()


def test_a_port_in_use_is_named_with_one_that_is_free() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        for start in (serve.serve, serve.plain):
            with pytest.raises(PricewrightError, match=f"^port {port} of 127.0.0.1 .*`make serve PORT="):
                start(port)


def test_beyond_this_machine_a_token_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("host: 127.0.0.1", "host: 0.0.0.0"))
    for token in ("", "too-short"):
        monkeypatch.setenv("PRICEWRIGHT_SERVE_TOKEN", token)
        with pytest.raises(PricewrightError, match="^serve.host is 0.0.0.0, which others can reach: set"):
            serve.serve(free_port())
    monkeypatch.setenv("PRICEWRIGHT_SERVE_TOKEN", "long-enough-to-be-one")
    with pytest.raises(PricewrightError, match="^pricer has no champion yet"):
        serve.serve(free_port())


# --- a real model, beside `mlflow models serve` ------------------------------------------------------

TEXTS = ["Oak desk", "Wireless headphones with noise cancelling", "Cast iron pan", "桌子 🪑"]
BODIES: list[dict[str, Any]] = [
    {"dataframe_split": {"columns": ["description"], "data": [[text] for text in TEXTS]}},
    {"dataframe_records": [{"description": text} for text in TEXTS], "params": {"point": "mean"}},
    {"instances": [{"description": text} for text in TEXTS]},
    {"inputs": {"description": TEXTS}},
    {"inputs": [{"description": TEXTS[0]}]},
]


@pytest.fixture
def real(tiny_base: Path, tiny_adapter: Path, tmp_path: Path) -> None:
    """A tiny language model as quantize writes it, registered as version 1."""
    quantized = write_served(tiny_base, tiny_adapter, tmp_path, batch_size=64)
    tracking.connect()
    answer = pyfunc.Predictor(quantized).predict(register.EXAMPLE)
    for name in (gate_rows.GATE, dvc.LOCK):
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_text("")
    register_served(quantized, answer, evidence=())


@pytest.mark.usefixtures("real")
def test_the_answers_are_those_of_mlflow_models_serve() -> None:
    answers: dict[str, list[Any]] = {}
    for mode in ((), ("--plain",)):
        with serving("flows.serve", "--version", "1", *mode) as (address, _):
            wait(f"{address}/{'health' if mode else 'readyz'}")
            answers["".join(mode)] = [post(f"{address}/invocations", body) for body in BODIES]
            if not mode:
                single = [post(f"{address}/predict", {"description": text}) for text in TEXTS]
                assert [body["answers"][0] for body in single] == answers[""][0]["predictions"]
                assert {body["version"] for body in single} == {"1"}
                [spread] = post(f"{address}/predict?quantiles=3", {"description": TEXTS[0]})["answers"]
                assert spread["quantiles"][1] == spread["value"]
    assert answers[""] == answers["--plain"]
    assert [len(body["predictions"]) for body in answers[""]] == [4, 4, 4, 4, 1]
