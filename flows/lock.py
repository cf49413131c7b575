"""One training run at a time in one clone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from components.core.errors import PricewrightError

LOCK = Path(".pricewright.lock")


@contextmanager
def only_run(wait: bool) -> Iterator[None]:
    """Hold the clone's lock, which names its holder; the process that holds it may enter again.

    The lock is the kernel's, so a killed run leaves none behind. Raises PricewrightError where another
    process holds it, unless told to `wait`.
    """
    with LOCK.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = LOCK.read_text(encoding="utf-8").strip() or "a process that is just starting"
            if holder.startswith(f"process {os.getpid()},"):
                yield
                return
            if not wait:
                raise PricewrightError(
                    f"another run is at work in this clone ({holder}). Wait until it has ended and run "
                    "again, or add --wait to queue behind it."
                ) from None
            print(f"waiting for the other run in this clone ({holder})", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M:%S}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
