"""dvc.lock as the witness of what lies on the disk: a file that was edited by hand does not count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from components.core import stage
from components.core.errors import PricewrightError

LOCK = Path("dvc.lock")


def intact(path: Path) -> Path:
    """`path`, once it is known to be what its stage wrote, by the hash of the output that it is or lies in.

    Raises PricewrightError where it is missing, no output of the graph, or was edited since.
    """
    if not LOCK.is_file():
        raise PricewrightError(f"{LOCK} is missing, so nobody can tell what {path} is: run `dvc repro`")
    stages = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"]
    outs = {out["path"]: out["md5"] for entry in stages.values() for out in entry.get("outs", [])}
    out = next((str(folder) for folder in (path, *path.parents) if str(folder) in outs), None)
    if out is None or stage.md5(Path(out)) != outs[out]:
        raise PricewrightError(
            f"{path} is not what its stage wrote (its hash is not the one in {LOCK}), so nothing is decided "
            f"by it: bring it back with `dvc checkout {out or path}`, or run `dvc repro`"
        )
    return path


def report(path: Path) -> dict[str, Any]:
    """The report of a stage as it wrote it. Raises PricewrightError as `intact` does."""
    written: dict[str, Any] = json.loads(intact(path).read_text(encoding="utf-8"))
    return written
