"""A version's model in a process of its own, as the service sees it.

The process is needed: each version brings the code it was registered with, which would collide with this one
and with that of the version it takes over from, and is not to read the keys in the service's environment.
When it ends, all of its memory is given back.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
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


class ModelGoneError(Exception):
    """The process ended, or was ended, before it had answered."""


class ModelProcess:
    """A loaded model that answers batches of items, one batch at a time."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child, self.signature = child, dict[str, Any]()
        self._printed = b""
        self._turn = asyncio.Lock()
        self._drained = asyncio.create_task(self._drain())

    @classmethod
    async def start(cls, environment: dict[str, str], folder: Path, nice: int) -> ModelProcess:
        """Start a process with the variables `environment`, in `folder`, that gives way to others by `nice`;
        it imports what every model needs and waits for `load`.
        """
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(WORKER)),
            env=environment | {"TQDM_DISABLE": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=folder,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            limit=LINE_MAX,
            start_new_session=True,  # Ctrl-C is for the service, which lets it answer what it was given
        )
        os.setpriority(os.PRIO_PROCESS, child.pid, os.getpriority(os.PRIO_PROCESS, 0) + nice)
        return cls(child)

    async def load(self, model: Path) -> None:
        """Load a version from its folder. Raises PricewrightError with the last line of its output where it
        does not load.
        """
        try:
            self.signature = await self._exchange(str(model))
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
        return self.child.returncode is None

    async def stop(self) -> None:
        """End the process, with force where it does not end by itself."""
        assert self.child.stdin is not None
        self.child.stdin.close()
        try:
            await asyncio.wait_for(self.child.wait(), STOP_SECONDS)
        except TimeoutError:
            self.kill()
        await self.child.wait()
        await self._drained

    def kill(self) -> None:
        """End the process at once."""
        if self.alive:
            self.child.kill()

    async def _exchange(self, value: Any) -> Any:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        async with self._turn:
            try:
                self.child.stdin.write(json.dumps(value).encode() + b"\n")
                await self.child.stdin.drain()
                line = await self.child.stdout.readline()
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
        code = await self.child.wait()
        await self._drained
        lines = self._printed.decode(errors="replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")
        return last[:LAST_LINE_MAX]

    async def _drain(self) -> None:
        """Read what the version's code prints, and keep the end of it."""
        assert self.child.stderr is not None
        while piece := await self.child.stderr.read(65536):
            self._printed = (self._printed + piece)[-4 * LAST_LINE_MAX :]
