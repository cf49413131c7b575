"""The frame of every stage: its params section, its folder, its report, its seed and its tracked run.

    with stage.run(Curate) as frame:
        items = curate(listings, frame.section)
        frame.save("train.parquet", items)
        frame.report({"rows": len(items)})

A `PricewrightError`, a full disk or a signal inside the frame ends the process with a clear line and a
non-zero exit code, and the tracked run as failed; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
import json
import logging
import random
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
import pandas as pd

from components.core import dvc, tracking
from components.core.errors import PricewrightError, reading_parquet
from components.core.params.section import S, load_section, section_name
from components.core.schemas import Record
from components.core.tables import first_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOISY_LOGGERS = (
    "alembic",
    "bitsandbytes",
    "mlflow",
    "great_expectations",
    "scrapy",
    "matplotlib",
    "httpx",
    "py4j",
    "trl",
)
LOGGED_ROWS = 10_000  # of a table that is logged by its first rows
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_ROOM_TEXTS = ("No space left on device", "Disk quota exceeded", "database or disk is full")


@dataclass(frozen=True)
class Frame(Generic[S]):
    """What a stage's main() works with."""

    name: str
    """`sft`, or `align/dpo` for a child of a matrix."""
    section: S
    """The stage's own section of params.yaml."""
    tracked: tracking.Run
    digest: str
    """Digest of the command, parameters and dependencies: equal to that of the later `dvc.lock` entry."""

    @property
    def folder(self) -> Path:
        """Where the stage's artifacts go."""
        return Path("artifacts") / self.name

    @property
    def scratch(self) -> Path:
        """A folder for checkpoints, outside DVC's outputs: it outlives a killed run of the same inputs."""
        return Path("work") / self.name / self.digest[:16]

    def dataset(self, filename: str) -> None:
        """Log a table in the stage's folder, by its first rows, as a data set."""
        path = self.folder / filename
        self.tracked.dataset(first_rows(path, LOGGED_ROWS), name=path.stem, source=path)

    def save(self, filename: str, rows: pd.DataFrame, kind: type[Record]) -> Path:
        """Write a table with the columns of `kind` to the stage's folder and log it as a data set."""
        path = _made(self.folder) / filename
        rows[kind.columns()].to_parquet(path, index=False)
        self.tracked.dataset(rows[kind.columns()], name=path.stem, source=path)
        return path

    def empty_scratch(self) -> Path:
        """The scratch folder as an absolute path, without what a killed run has left in it."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        return self.scratch.resolve()

    def discard_scratch(self) -> None:
        """Remove the checkpoints of this stage, once its results are written."""
        shutil.rmtree(Path("work") / self.name, ignore_errors=True)

    def report(self, report: dict[str, Any]) -> None:
        """Write `reports/<name>.json` and log its numbers as metrics."""
        path = Path("reports") / f"{self.name}.json"
        _made(path.parent)
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        self.tracked.metrics(report)
        self.tracked.artifact(path)

    def write(self, filename: str, text: str) -> Path:
        """Write a text file to the stage's folder and log it."""
        path = _made(self.folder) / filename
        path.write_text(text, encoding="utf-8")
        self.tracked.artifact(path)
        return path

    def picture(self, figure: Figure, filename: str) -> Path:
        """Write a figure to `artifacts/<name>/<filename>` and log it."""
        path = _made(self.folder) / filename
        figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
        self.tracked.artifact(path)
        return path


@contextmanager
def run(kind: type[S], method: str = "") -> Iterator[Frame[S]]:
    """Open the frame of the stage whose section of params.yaml `kind` is; `method` names the child where the
    stage is a matrix.

    Raises SystemExit: code 1 after a PricewrightError or a full disk, 143 after SIGTERM, 130 after Ctrl-C.
    """
    _quiet()
    stage = section_name(kind)
    name = f"{stage}/{method}" if method else stage
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        section = load_section(kind)
        _seed(getattr(section, "seed", 0))
        digest = dvc.digest(dvc.pending_entry(stage, method))
        with tracking.stage_run(name, section.model_dump(), digest) as tracked:
            yield Frame(name, section, tracked, digest)
    except PricewrightError as error:
        raise SystemExit(f"{name}: error: {error}") from None
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        if not _is_full_disk(error):
            raise
        where = getattr(error, "filename", None) or Path.cwd()
        raise SystemExit(
            f"{name}: error: no space left on the disk while writing {where}. Free some and run again; "
            "finished stages are kept."
        ) from None


def read(path: Path | str) -> pd.DataFrame:
    """A table of an earlier stage. Raises PricewrightError where it is missing or cut short."""
    with reading_parquet(path):
        return pd.read_parquet(path)


# --- helpers -----------------------------------------------------------------------------------------


def _made(folder: Path) -> Path:
    """The folder, which is there afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _is_full_disk(error: BaseException | None) -> bool:
    """Whether it, or what caused it, says so; safetensors, torch and SQLite only say it in words."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return True
        if any(text in str(error) for text in NO_ROOM_TEXTS):
            return True
        error = error.__cause__ or error.__context__
    return False


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # libraries below draw from the global state


def _quiet() -> None:
    """Keep library chatter off the screen; errors still show."""
    warnings.simplefilter("ignore")
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
