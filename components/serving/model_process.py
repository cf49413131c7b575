"""A version's model in a process of its own, as the service sees it.

The process is needed: each version brings the code it was registered with, which would collide with this one
and with that of the version it takes over from, and is not to read the keys in the service's environment.
When it ends, all of its memory is given back.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from components.core.errors import PricewrightError

WORKER = Path(__file__).with_name("worker.py")
LINE_MAX = 1 << 27
"""Most bytes of the answer to one batch."""
LAST_LINE_MAX = 300
"""Most characters of what is told of a process that ended."""
STOP_SECONDS = 5.0
"""That a process is given to end by itself."""


def start(environment: dict[str, str], nice: int = 0, imports: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start a process with the variables `environment` that gives way to others by `nice`.

    It imports what every model needs, and the libraries `imports` where they are installed, while its model
    is still being looked for. It ends where this process does.
    """
    child = subprocess.Popen(
        [sys.executable, "-P", str(WORKER), *imports],
        env=environment | {"TQDM_DISABLE": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the service, which lets it answer what it was given
    )
    os.setpriority(os.PRIO_PROCESS, child.pid, os.getpriority(os.PRIO_PROCESS, 0) + nice)
    return child


class ModelGoneError(Exception):
    """The process ended, or was ended, before it had answered."""


class ModelProcess:
    """A loaded model that answers batches of items, one batch at a time."""

    def __init__(
        self, child: subprocess.Popen[bytes], reader: StreamReader, writer: StreamWriter, errors: StreamReader
    ) -> None:
        self.child, self.signature = child, dict[str, Any]()
        self._reader, self._writer = reader, writer
        self._printed = b""
        self._turn = asyncio.Lock()
        self._drained = asyncio.create_task(self._drain(errors))

    @classmethod
    async def of(cls, child: subprocess.Popen[bytes]) -> ModelProcess:
        """The process that `start` has started."""
        loop = asyncio.get_running_loop()
        reader, errors = StreamReader(limit=LINE_MAX), StreamReader()
        for stream, pipe in ((reader, child.stdout), (errors, child.stderr)):
            await loop.connect_read_pipe(partial(asyncio.StreamReaderProtocol, stream), pipe)
        pipes = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, child.stdin)
        return cls(child, reader, StreamWriter(*pipes, None, loop), errors)

    async def load(self, model: Path, place: Path) -> None:
        """Load a version from its folder `model`; its code works in `place`.

        Raises PricewrightError with the last line of its output where it does not load.
        """
        try:
            self.signature = await self._exchange([str(model), str(place)])
        except ModelGoneError as error:
            raise PricewrightError(f"it does not load: {error}") from error

    async def answer(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The worker's answer to each item. Raises ModelGoneError where the process ends first."""
        outcomes = await self._exchange(items)
        assert len(outcomes) == len(items)
        return list(outcomes)

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self.child.poll() is None

    async def stop(self) -> None:
        """End the process, with force where it does not end by itself."""
        self._writer.close()
        try:
            await asyncio.to_thread(self.child.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        await asyncio.to_thread(self.child.wait)
        await self._drained

    def kill(self) -> None:
        """End the process at once."""
        if self.alive:
            self.child.kill()

    async def _exchange(self, value: Any) -> Any:
        async with self._turn:
            try:
                self._writer.write(json.dumps(value).encode() + b"\n")
                await self._writer.drain()
                line = await self._reader.readline()
                if not line.endswith(b"\n"):
                    raise ModelGoneError(await self._end())
                return json.loads(line)
            except (OSError, ValueError) as error:
                self.kill()
                raise ModelGoneError(await self._end()) from error
            except asyncio.CancelledError:
                self.kill()  # its late answer would be taken for that of the next batch
                raise

    async def _end(self) -> str:
        """How the process ended, once it has: the last line of its output."""
        code = await asyncio.to_thread(self.child.wait)
        await self._drained
        lines = self._printed.decode(errors="replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")
        return last[:LAST_LINE_MAX]

    async def _drain(self, errors: StreamReader) -> None:
        """Read what the version's code prints, and keep the end of it."""
        while piece := await errors.read(65536):
            self._printed = (self._printed + piece)[-4 * LAST_LINE_MAX :]
