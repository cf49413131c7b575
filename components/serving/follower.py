"""The version that answers: the one at an alias, loaded anew where the alias moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from components.core.errors import PricewrightError
from components.core.registry import Version
from components.serving.loaded import LoadedVersion
from components.serving.log import log

PATIENCE_MAX = 600.0
"""Most seconds until a version that failed is tried again."""


class Follower:
    """Holds the version at an alias. Another one is loaded beside it and takes over between two requests."""

    def __init__(
        self,
        find: Callable[[], Version | None],
        load: Callable[[Version], Awaitable[LoadedVersion]],
        poll_seconds: float,
    ) -> None:
        """`find` gives the version at the alias, None where there is none. It raises PricewrightError where
        it cannot tell.
        """
        self.find, self.load, self.poll_seconds = find, load, poll_seconds
        self.current: LoadedVersion | None = None
        self.swaps = 0
        self._retiring: set[asyncio.Task[None]] = set()
        self.refused, self._failures, self._again = "", 0, 0.0
        self._logged = ""

    async def open(self) -> None:
        """Load the version at the alias, if there is one. Raises PricewrightError where that fails."""
        version = await asyncio.to_thread(self.find)
        self.current = None if version is None else await self.load(version)

    async def follow(self) -> None:
        """Look at the alias again and again; never ends by itself."""
        while True:
            await asyncio.sleep(self.poll_seconds)
            try:
                await self.look()
            except PricewrightError as error:
                self._log(str(error))
            except Exception as error:  # whatever fails, the current version goes on
                self._log(f"the alias could not be followed: {type(error).__name__}")

    async def look(self) -> None:
        """Let the version at the alias take over, if it is another than the current one, or that one's
        process has ended. Raises PricewrightError, with the current version still answering, where it cannot.
        """
        version = await asyncio.to_thread(self.find)
        current = self.current
        if version is None:
            self._take_over(None)
            return
        if current and current.process.alive and current.version.number == version.number:
            self.refused, self._failures, self._logged = "", 0, ""
            return
        if version.number == self.refused and time.monotonic() < self._again:
            return
        try:
            loaded = await self.load(version)
        except PricewrightError:
            self._failures = self._failures + 1 if version.number == self.refused else 1
            self.refused = version.number
            self._again = time.monotonic() + min(self.poll_seconds * 2**self._failures, PATIENCE_MAX)
            raise
        self._take_over(loaded)

    async def close(self) -> None:
        """End every version's process."""
        await asyncio.gather(*self._retiring)
        if self.current:
            await self.current.close()

    def _take_over(self, loaded: LoadedVersion | None) -> None:
        old, self.current = self.current, loaded
        if loaded:
            self.swaps += 1
            log(f"{loaded.version} answers" + (f", after version {old.version.number}" if old else ""))
        if old:
            task = asyncio.create_task(old.retire())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    def _log(self, line: str) -> None:
        """Log a line once, however often its cause is met."""
        if line != self._logged:
            stays = f"; version {self.current.version.number} goes on" if self.current else ""
            log(f"{line}{stays}")
        self._logged = line
