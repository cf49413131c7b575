"""GGUF files of tiny models, and a package index in a folder that has them in wheels."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from components.core.params.base import Package

NAME, VERSION = "tiny-model", "1.0"
INSIDE = "tiny_model/tiny.gguf"


def write_gguf(model: Path, file: Path) -> Path:
    """The model in `model` as a GGUF file; returns the file."""
    converter = Path(__file__).parent / "gguf_converter.py"
    options = ["--outfile", str(file), "--outtype", "q8_0"]
    subprocess.run([sys.executable, str(converter), str(model), *options], check=True)
    return file


def package_of(file: Path) -> Package:
    """What params.yaml says of the wheel that `serve_wheel` makes of a file."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Package(name=NAME, version=VERSION, file=INSIDE, sha256=digest)


def serve_wheel(file: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a file into a wheel in a folder, and let that folder be pip's only index; returns the wheel."""
    index.mkdir()
    wheel = index / "tiny_model-1.0-py3-none-any.whl"
    information = "tiny_model-1.0.dist-info"
    headers = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\nLicense: Apache-2.0\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(file, INSIDE)
        archive.writestr(f"{information}/METADATA", headers + "Requires-Dist: not-there-at-all\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return wheel
