"""The terminal, shared by stages that run at the same time: whole lines, and one line that moves."""

from __future__ import annotations

import shutil
import sys
import threading
import time

NAME_WIDTH = 13


class Screen:
    """Writes to stdout once it is `on`. Off a terminal a moving line shows every `every` seconds at most."""

    def __init__(self, every: float = 10.0) -> None:
        self.on = False
        self._every = every
        self._lock = threading.Lock()
        self._moving = False
        self._shown: dict[str, float] = {}

    def line(self, name: str, text: str) -> None:
        """A whole line that stays."""
        with self._lock:
            self._clear()
            self._write(f"{name:<{NAME_WIDTH}} {text}\n")

    def move(self, name: str, text: str) -> bool:
        """A line that the next one replaces; whether it is time to write it to a log as well."""
        with self._lock:
            due = time.monotonic() - self._shown.get(name, float("-inf")) >= self._every
            if due:
                self._shown[name] = time.monotonic()
            whole = f"{name:<{NAME_WIDTH}} {text}"
            if sys.stdout.isatty():
                self._clear()
                self._write(whole[: shutil.get_terminal_size().columns - 1])
                self._moving = True
            elif due:
                self._write(whole + "\n")
            return due

    def _clear(self) -> None:
        if self._moving:
            self._write("\r\x1b[K")
            self._moving = False

    def _write(self, text: str) -> None:
        if self.on:
            sys.stdout.write(text)
            sys.stdout.flush()
