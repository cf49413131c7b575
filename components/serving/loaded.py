"""A version that is ready to answer: its files checked, its model loaded, its registered example answered."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from components.core import registry
from components.core.errors import PricewrightError
from components.core.params.serve import Serve
from components.core.registry import EXAMPLE_ANSWER, Version
from components.core.schemas import SERVED_SETTINGS
from components.serving.batching import Batcher
from components.serving.invocation import Invocation, RefusedError
from components.serving.log import log
from components.serving.model_process import ModelGoneError, ModelProcess

EXAMPLE = "input_example.json"
"""MLflow's name of the example that a version was registered with."""


class LoadedVersion:
    """A version with its process and its queue, until the last request that it was given is answered."""

    def __init__(
        self, version: Version, process: ModelProcess, folder: Path, section: Serve, files: ExitStack
    ) -> None:
        """`folder` holds its files, which `files` removes."""
        self.version, self.process, self.folder, self.section = version, process, folder, section
        self.batcher = Batcher(process, section)
        self._files = files
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @property
    def signature(self) -> dict[str, Any]:
        """`inputs`, `outputs` and `params`, lists as MLflow writes them."""
        return self.process.signature

    @property
    def wording(self) -> dict[str, Any]:
        """`question` and `unit` of its task, empty where it was registered without one. Labels have no unit;
        there are their `names`, and `coverage`, the probability with which a set of them holds the true one.
        """
        for path in self.folder.rglob(SERVED_SETTINGS):
            settings = json.loads(path.read_text(encoding="utf-8"))
            task = settings.get("task", {})
            if task.get("kind") == "label":
                of_labels = {"names": task["label"]["names"], "coverage": settings["calibration"]["coverage"]}
                return {"question": task["question"], "unit": "", **of_labels}
            if task:
                return {"question": task["question"], "unit": task["number"]["unit"]}
        return {"question": "", "unit": ""}

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """A request inside the block is answered by this version to its end, whoever takes over meanwhile."""
        self._users += 1
        self._unused.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def answer(self, invocation: Invocation) -> Any:
        """The predictions as `mlflow models serve` gives them: a list with an element for each row.

        Raises RefusedError where the queue is full, the version refuses a row, or its process ends.
        """
        most, predictions = self.section.batch_max, list[Any]()
        if len(invocation) > self.section.queue_max:
            raise RefusedError(
                413, f"{len(invocation)} rows: at most {self.section.queue_max} in one request"
            )
        for part, item in enumerate(invocation.parts(most)):
            rows = min(most, len(invocation) - part * most)
            outcome = await self.batcher.submit(item, rows)
            if "fault" in outcome:
                log(f"{self.version} could not answer a request: {outcome['fault']}")
            if "predictions" not in outcome:
                raise RefusedError(outcome["status"], moved(outcome["message"], part * most))
            if len(invocation) <= most:
                return outcome["predictions"]
            predictions += outcome["predictions"]
        return predictions

    async def retire(self) -> None:
        """Wait for the last answer, then end the process and remove the files."""
        await self._unused.wait()
        await self.close()

    async def close(self) -> None:
        """End the process and remove the files."""
        await self.batcher.close()
        await self.process.stop()
        await asyncio.to_thread(self._files.close)


def moved(message: str, rows: int) -> str:
    """A message that names a row of a part, as it is to be for the whole request."""
    head, _, rest = message.partition(" ")
    number, _, tail = rest.partition(" ")
    return f"row {int(number) + rows} {tail}" if head == "row" and number.isdigit() else message


async def load(version: Version, section: Serve, child: subprocess.Popen[bytes]) -> LoadedVersion:
    """Load a version in a process that `model_process.start` has started, and have it answer its example.

    Its files are known to be those it was registered with before any of its code runs. Raises
    PricewrightError where it does not become ready.
    """
    files = ExitStack()
    process = await ModelProcess.of(child)
    try:
        place = Path(files.enter_context(tempfile.TemporaryDirectory()))
        folder = await asyncio.to_thread(files.enter_context, registry.fetched(version))
        await process.load(folder, place)
        await probe(process, folder, section)
    except BaseException as error:
        process.kill()
        await process.stop()
        files.close()
        if isinstance(error, PricewrightError):
            raise PricewrightError(f"{version} is not served: {error}") from error
        raise
    return LoadedVersion(version, process, folder, section, files)


async def probe(process: ModelProcess, folder: Path, section: Serve) -> None:
    """Have a loaded version answer its registered example. Raises PricewrightError where it does not, or not
    as it was registered; a version that was registered without the answer has to answer every row.
    """
    if not (folder / EXAMPLE).is_file():
        raise PricewrightError("it was registered without an example: register it anew")
    example = json.loads((folder / EXAMPLE).read_text(encoding="utf-8"))
    split = {"columns": example["columns"], "data": example["data"]}
    try:
        async with asyncio.timeout(section.timeout_seconds):
            [outcome] = await process.answer([{"data": {"dataframe_split": split}, "params": None}])
    except (ModelGoneError, TimeoutError) as error:
        reason = str(error) or f"no answer within {section.timeout_seconds:g} s"
        raise PricewrightError(f"it does not answer its registered example: {reason}") from error
    if "predictions" not in outcome:
        raise PricewrightError(
            f"it does not answer its registered example: {outcome.get('fault', outcome['message'])}"
        )
    rows = outcome["predictions"]
    if not isinstance(rows, list) or len(rows) != len(example["data"]):
        raise PricewrightError("it does not give its registered example one answer a row")
    if (folder / EXAMPLE_ANSWER).is_file():
        registered = json.loads((folder / EXAMPLE_ANSWER).read_text(encoding="utf-8"))
        _require_same(rows, registered, section.probe_tolerance)


def _require_same(rows: list[Any], registered: list[dict[str, Any]], tolerance: float) -> None:
    for place, (row, promised) in enumerate(zip(rows, registered, strict=True)):
        for column, value in promised.items():
            answered = row.get(column) if isinstance(row, dict) else None
            if not _same(answered, value, tolerance):
                raise PricewrightError(
                    f"it answers row {place} of its registered example with {column} {answered!r}, "
                    f"and was registered with {value!r}"
                )


def _same(answered: Any, value: Any, tolerance: float) -> bool:
    numbers = isinstance(answered, int | float) and isinstance(value, int | float)
    if numbers and not isinstance(value, bool):
        return math.isclose(answered, value, rel_tol=tolerance)
    return bool(answered == value)
