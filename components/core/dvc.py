"""Reads what DVC writes, without DVC: hashes of files and folders, entries of dvc.lock, verified outputs.

Importing DVC takes seconds; a stage needs only these few lines of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import yaml

from components.core.errors import PricewrightError

LOCK = Path("dvc.lock")
FOLDER = ".dir"
"""DVC appends it to the MD5 of the listing of a folder."""


def digest(entry: dict[str, Any]) -> str:
    """SHA-256 of the inputs of a `dvc.lock` entry: command, dependencies, parameters (not its outputs)."""
    inputs = {
        "cmd": entry["cmd"],
        "deps": sorted((dep["path"], dep["md5"]) for dep in entry.get("deps", [])),
        "params": entry.get("params", {}),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def pending_entry(stage: str, method: str = "") -> dict[str, Any]:
    """The inputs of the `dvc.lock` entry that DVC will write for this stage once it has succeeded."""
    block = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    text = re.sub(r"\$\{item[^}]*\}", method, json.dumps(block))
    block = json.loads(text)
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    return {
        "cmd": block["cmd"],
        "deps": [{"path": path, "md5": md5(Path(path))} for path in block.get("deps", [])],
        "params": {"params.yaml": {key: _value(params, key) for key in block.get("params", [])}},
    }


def md5(path: Path) -> str:
    """The hash that DVC gives to a file or a folder. Raises PricewrightError where there is none.

    `__pycache__` does not count: .dvcignore names it.
    """
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
        return folder_md5({file.relative_to(path).as_posix(): md5(file) for file in files})
    if not path.is_file():
        raise PricewrightError(f"{path} is missing: run the stages above with `dvc repro`")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def folder_md5(files: dict[str, str]) -> str:
    """DVC's hash of a folder, from its files' relative paths and MD5s."""
    listing = [{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + FOLDER  # noqa: S324


def intact(path: Path) -> Path:
    """`path`, where it is what its stage wrote, by the hash in dvc.lock of the output that it is or lies in.

    Raises PricewrightError where it is missing, no output of the graph, or was edited since.
    """
    if not LOCK.is_file():
        raise PricewrightError(f"{LOCK} is missing, so nobody can tell what {path} is: run `dvc repro`")
    stages = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"]
    outs = {out["path"]: out["md5"] for entry in stages.values() for out in entry.get("outs", [])}
    out = next((str(folder) for folder in (path, *path.parents) if str(folder) in outs), None)
    if out is None or md5(Path(out)) != outs[out]:
        raise PricewrightError(
            f"{path} is not what its stage wrote (its hash is not the one in {LOCK}), so nothing is decided "
            f"by it: bring it back with `dvc checkout {out or path}`, or run `dvc repro`"
        )
    return path


def report(path: Path) -> dict[str, Any]:
    """The report of a stage as it wrote it. Raises PricewrightError as `intact` does."""
    written: dict[str, Any] = json.loads(intact(path).read_text(encoding="utf-8"))
    return written


def _value(params: dict[str, Any], key: str) -> Any:
    """The value of `section` or `section.key`."""
    value: Any = params
    for part in key.split("."):
        value = value[part]
    return value
