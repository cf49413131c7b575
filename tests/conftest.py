"""A tiny real base model, a tiny catalogue, and the project's own params, for every test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import yaml

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two tests run at a time

from components.params import Params, load
from components.records import Item

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from components.alignment.task import Task

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TRACKED_BY = ("PRICEWRIGHT_PARENT_RUN", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID")


@pytest.fixture(scope="session")
def params() -> Params:
    """The committed params.yaml."""
    return load(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def tiny_params(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Params:
    """params.yaml with sizes for a test."""
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(tiny_yaml(), encoding="utf-8")
    return load(path)


def tiny_yaml() -> str:
    """The committed params.yaml with a small shop, a small base and little training."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["scrape"]["demo_shop"]["listings"] = 260
    raw["validate"]["rows_min"] = 5
    raw["base"]["pretraining"] |= {
        "texts": 300,
        "vocabulary": 1600,
        "hidden_size": 64,
        "layers": 1,
        "heads": 2,
        "intermediate_size": 64,
        "epochs": 1,
        "price_weight": 1.0,
    }
    raw["baseline"] |= {"vocabulary": 300, "boosting_iterations": 20, "boosting_components": 8}
    raw["sft"] |= {"epochs": 1.0, "checkpoint_steps": 4}
    raw["reward"] |= {"epochs": 1.0}
    raw["align"]["watch"] |= {"rows": 20, "looks": 1, "bootstrap": 100}
    raw["evaluate"] |= {"bootstrap": 200}
    raw["quantize"] |= {"mae_tolerance": 50.0, "moved_share_max": 1.0}
    return yaml.safe_dump(raw, sort_keys=False)


@pytest.fixture(scope="session")
def tiny_base(tiny_params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a base model made by the project's own script in a second or two."""
    from components.base import base

    folder = tmp_path_factory.mktemp("base")
    base(tiny_params.base, folder, lambda *_: None)
    return folder


@pytest.fixture(scope="session")
def tiny_items(tiny_params: Params) -> pd.DataFrame:
    """48 generated items with a price, columns of `Item`; all in the train split."""
    from components.sources.catalogue import catalogue
    from components.text import listing_text

    products = [product for product in catalogue(3, 60, 0.25) if product.price is not None][:48]
    rows = [
        Item(
            id=product.sku,
            text=listing_text(product.title, product.brand, product.details, product.description),
            title=product.title,
            brand=product.brand,
            category=product.category,
            details="{}",
            price=float(product.price or 0),
            product=product.sku,
            split="train",
            source="demo_shop",
            address=f"/p/{product.sku}",
        ).model_dump()
        for product in products
    ]
    return pd.DataFrame(rows)


class Recorder:
    """Stands in for a tracked run where a test wants the curve points themselves."""

    def __init__(self) -> None:
        self.points: list[tuple[str, float, int]] = []

    def metric(self, name: str, value: float, step: int) -> None:
        """Keep a point."""
        self.points.append((name, value, step))


@pytest.fixture
def recorder() -> Recorder:
    """An empty recorder."""
    return Recorder()


@pytest.fixture(scope="session")
def tiny_adapter(
    tiny_base: Path, tiny_params: Params, tiny_items: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder of an SFT adapter trained for a few steps on the tiny base."""
    from components import modeling
    from components.sft import sft

    scratch = tmp_path_factory.mktemp("sft-scratch")
    curves = modeling.Curves(Recorder())  # type: ignore[arg-type]
    model = sft(tiny_items, tiny_params.sft, tiny_base, scratch / "none-yet", curves)
    folder = tmp_path_factory.mktemp("sft")
    modeling.save_adapter(model, folder)
    return folder


@pytest.fixture(scope="session")
def sharp_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base with a louder last layer: trained for two seconds, it can prefer no token to another."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("sharp") / "base"
    shutil.copytree(tiny_base, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] *= 8
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="session")
def cheap_pairs(tiny_items: pd.DataFrame) -> pd.DataFrame:
    """Columns of `Pair`: cheap is preferred to dear, whatever it is."""
    import numpy as np

    from components import pricing
    from components.records import Pair

    draw = np.random.default_rng(0)
    drawn = [sorted(draw.integers(0, 1000, 2)) for _ in range(len(tiny_items))]
    rows = [
        Pair(
            id=item.id,
            prompt=pricing.prompt(item.text),
            chosen=str(low),
            rejected=str(high),
            margin=9,
            origin="truth",
        ).model_dump()
        for item, (low, high) in zip(tiny_items.itertuples(), drawn, strict=True)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def cheap_judge(
    sharp_base: Path,
    tiny_adapter: Path,
    tiny_params: Params,
    cheap_pairs: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Any, Path]:
    """A reward model that likes cheap, and the folder it was saved to."""
    from components import modeling
    from components.reward import reward

    tokenizer = modeling.load_tokenizer(sharp_base)
    model = modeling.scorer(sharp_base, tiny_adapter, tokenizer.pad_token_id)
    section = tiny_params.reward.model_copy(update={"epochs": 3.0, "learning_rate": 5e-3})
    curves = modeling.Curves(Recorder())  # type: ignore[arg-type]
    scratch = tmp_path_factory.mktemp("reward-scratch")
    model = reward(cheap_pairs, section, model, tokenizer, scratch, curves)
    folder = tmp_path_factory.mktemp("reward")
    modeling.save_adapter(model, folder)
    return model, folder


@pytest.fixture
def cheap_task(
    sharp_base: Path,
    tiny_adapter: Path,
    cheap_judge: tuple[Any, Path],
    tiny_params: Params,
    tiny_items: pd.DataFrame,
    cheap_pairs: pd.DataFrame,
    tmp_path: Path,
    recorder: Recorder,
) -> Task:
    """What an alignment method is given, on the sharp base with the reward model that likes cheap."""
    from components import modeling
    from components.align import asked
    from components.alignment.rewards import RewardModel
    from components.alignment.task import Task
    from components.alignment.watch import Watch

    tokenizer = modeling.load_tokenizer(sharp_base)
    model, head = modeling.policy(sharp_base, tiny_adapter, cheap_judge[1])
    reward_model, prompts = RewardModel(model, head, tokenizer, 16), asked(tokenizer, tiny_items, 128)
    watching = tiny_params.align.watch.model_copy(update={"looks": 1})
    options: dict[str, Any] = {"worst": 999.0, "price_max": 999, "scratch": tmp_path}
    options["track"] = recorder.metric
    return Task(
        model=model,
        tokenizer=tokenizer,
        pairs=cheap_pairs,
        asked=prompts,
        reward_model=reward_model,
        reward=cheap_judge[1],
        worst=999.0,
        scratch=tmp_path,
        curves=modeling.Curves(recorder),  # type: ignore[arg-type]
        watch=Watch(model, tokenizer, reward_model, prompts[:12], watching, **options),
    )


@contextmanager
def environment_kept() -> Iterator[None]:
    """Without the variables by which a store is found; they are as before after the block."""
    before = {name: os.environ.pop(name, None) for name in TRACKED_BY}
    yield
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow store with its tables and nothing in them, to copy: making the tables takes seconds."""
    import mlflow

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with environment_kept():
        mlflow.set_tracking_uri(f"sqlite:///{path}")
        mlflow.search_experiments()
    return path


@pytest.fixture(autouse=True)
def own_store() -> Iterator[None]:
    """No test finds the store or the parent run of another in the environment, where mlflow writes them."""
    with environment_kept():
        yield


@pytest.fixture
def tab() -> Iterator[Page]:
    """A tab of a real browser; what the page itself throws or fails to load fails the test at its end."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    options = [
        "--no-sandbox",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        opened, faults = browser.new_page(), list[str]()
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.on("requestfailed", lambda request: faults.append(f"{request.url} did not load"))
        yield opened
        browser.close()
    assert not faults
