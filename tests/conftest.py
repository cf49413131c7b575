"""A tiny real base model, a tiny catalogue, and the project's own params, for every test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two tests run at a time

from components.core.params.file import Params, load_params
from components.core.schemas import Item
from tests.support.project import ROOT, TASK, asked, environment_kept, tiny_yaml, whole

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

    from components.alignment.task import AlignmentTask
    from tests.support.chat_server import ChatServer

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def params() -> Params:
    """The committed params.yaml."""
    return load_params(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def tiny_params(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Params:
    """params.yaml with sizes for a test."""
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(tiny_yaml(), encoding="utf-8")
    return load_params(path)


@pytest.fixture(scope="session")
def tiny_base(tiny_params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a base model trained by the stage itself in a second or two."""
    from components.base import base

    folder = tmp_path_factory.mktemp("base")
    base(tiny_params.base, folder, lambda *_: None)
    return folder


@pytest.fixture(scope="session")
def tiny_items(tiny_params: Params) -> pd.DataFrame:
    """48 generated items with a price, columns of `Item`; all in the train split."""
    from components.model.listing_text import listing_text
    from components.synthetic.catalogue import catalogue

    products = [product for product in catalogue(3, 60, 0.25) if product.price is not None][:48]
    rows = [
        Item(
            id=product.sku,
            text=listing_text(product.title, product.brand, product.details, product.description),
            title=product.title,
            brand=product.brand,
            category=product.category,
            details="{}",
            target=float(product.price or 0),
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
    from components.model import adapters, training
    from components.sft import sft

    scratch = tmp_path_factory.mktemp("sft-scratch")
    curves = training.Curves(Recorder())  # type: ignore[arg-type]
    model = sft(tiny_items, tiny_params.sft, TASK, tiny_base, scratch / "none-yet", curves)
    folder = tmp_path_factory.mktemp("sft")
    adapters.save_adapter(model, folder)
    return folder


@pytest.fixture(scope="session")
def sharp_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base with a larger final norm: trained for two seconds, it prefers no token to another."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("sharp") / "base"
    shutil.copytree(tiny_base, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] *= 8
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="session")
def cheap_pairs(tiny_items: pd.DataFrame) -> pd.DataFrame:
    """Columns of `Pair`: the lower of two random prices is chosen, whatever the listing."""
    import numpy as np

    from components.core.schemas import Pair
    from components.model.prompt import prompt_of

    draw = np.random.default_rng(0)
    samples = [sorted(draw.integers(0, 1000, 2)) for _ in range(len(tiny_items))]
    rows = [
        Pair(
            id=item.id,
            prompt=prompt_of(item.text, TASK),
            chosen=str(low),
            rejected=str(high),
            margin=9,
            origin="truth",
        ).model_dump()
        for item, (low, high) in zip(tiny_items.itertuples(), samples, strict=True)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def cheap_reward_model(
    sharp_base: Path,
    tiny_adapter: Path,
    tiny_params: Params,
    cheap_pairs: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Any, Path]:
    """(a reward model that prefers the cheaper of two prices, the folder it was saved to)."""
    from components.model import adapters, loading, training
    from components.reward import reward
    from tests.support.prompts import as_ids
    from tests.support.reward import GOOD, no_start

    loading.seed_everything(0)  # the head starts at random, whichever test came before
    tokenizer = loading.load_tokenizer(sharp_base)
    model = adapters.load_reward_model(sharp_base, tiny_adapter, tokenizer.pad_token_id)
    section = tiny_params.reward.model_copy(update={"epochs": 3.0, "learning_rate": 5e-3})
    curves = training.Curves(Recorder())  # type: ignore[arg-type]
    scratch = tmp_path_factory.mktemp("reward-scratch")
    pairs = as_ids(tokenizer, cheap_pairs)
    model = reward(pairs, no_start(pairs), section, model, tokenizer, scratch, curves)
    folder = tmp_path_factory.mktemp("reward")
    adapters.save_adapter(model, folder)
    GOOD.save(folder)
    return model, folder


@pytest.fixture
def cheap_task(
    sharp_base: Path,
    tiny_adapter: Path,
    cheap_reward_model: tuple[Any, Path],
    tiny_params: Params,
    tiny_items: pd.DataFrame,
    cheap_pairs: pd.DataFrame,
    tmp_path: Path,
    recorder: Recorder,
) -> AlignmentTask:
    """The task of an alignment method, on the sharp base, with the reward model that prefers cheap."""
    from components.align import prompts_of
    from components.alignment.monitor import Monitor
    from components.alignment.rewards import RewardModel, load_standing
    from components.alignment.task import AlignmentTask
    from components.model import adapters, loading, training
    from tests.support.prompts import as_ids

    tokenizer = loading.load_tokenizer(sharp_base)
    model, head = adapters.load_policy(sharp_base, tiny_adapter, cheap_reward_model[1])
    reward_model = RewardModel(model, head, tokenizer, 16, load_standing(cheap_reward_model[1]), whole(999))
    prompts = prompts_of(tokenizer, tiny_items, asked(tokens=128, maximum=999))
    monitoring = tiny_params.align.monitor.model_copy(update={"snapshots": 1})
    options: dict[str, Any] = {"error_max": 999.0, "under_cost": 1.0, "answers": whole(999)}
    options["scratch"] = tmp_path
    options["track"] = recorder.metric
    return AlignmentTask(
        model=model,
        tokenizer=tokenizer,
        pairs=as_ids(tokenizer, cheap_pairs),
        prompts=prompts,
        reward_model=reward_model,
        reward=cheap_reward_model[1],
        answers=whole(999),
        error_max=999.0,
        under_cost=1.0,
        scratch=tmp_path,
        curves=training.Curves(recorder),  # type: ignore[arg-type]
        monitor=Monitor(model, tokenizer, reward_model, prompts[:12], monitoring, **options),
    )


@pytest.fixture
def chat_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A chat endpoint that answers a question by ten times its number; retries come at once."""
    from components.model import chat
    from tests.support.chat_server import serving, ten_times_its_number

    monkeypatch.setattr(chat, "BACKOFF", 0.0)
    monkeypatch.setenv("TEST_KEY", "secret-7")
    with serving(ten_times_its_number) as server:
        yield server


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


def _failed(request: Request) -> list[str]:
    """What a page lacks; a request that ended because the tab went on to another page is none."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"{request.url} did not load"]


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab of a real browser; what the page itself throws or fails to load fails the test at its end."""
    opened, faults = browser.new_page(), list[str]()
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("requestfailed", lambda request: faults.extend(_failed(request)))
    yield opened
    assert not faults


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A real browser; the test is skipped where there is none."""
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
        started = playwright.chromium.launch(executable_path=path, args=options)
        yield started
        started.close()
