"""A command in a process group of its own: its output line by line, and an end that leaves nothing behind."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import psutil

POLL = 0.2
"""Seconds between two looks at the clock and at the stop event."""
GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL: enough for a stage to close its tracked run."""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class StoppedError(Exception):
    """The command was ended from outside before it was done."""


class OutOfTimeError(Exception):
    """The command ran longer than it may."""


def run(
    command: list[str],
    env: dict[str, str],
    timeout: float | None,
    stop: threading.Event,
    show: Callable[[str, bool], None],
) -> int:
    """Run a command to its end and return its exit code; `show(text, finished)` gets every line.

    `finished` is False for a line that is still moving, such as a progress bar. Whatever happens, no process
    of its group is alive afterwards, even where this process is killed. Raises OutOfTimeError after `timeout`
    seconds, StoppedError once `stop` is set.
    """
    deadline = time.monotonic() + timeout if timeout else float("inf")
    child = _start(command, env)
    assert child.stdout is not None
    watch = guard(-child.pid)
    lines = Lines()
    try:
        while True:
            readable, _, _ = select.select([child.stdout], [], [], POLL)
            data = os.read(child.stdout.fileno(), 65536) if readable else b""
            for text, finished in lines.feed(data):
                show(text, finished)
            # A daemon that the command left behind may hold the pipe open: its exit counts, not the pipe's.
            if not data and child.poll() is not None:
                break
            if readable and not data:
                time.sleep(POLL)
            if stop.is_set():
                raise StoppedError
            if time.monotonic() > deadline:
                raise OutOfTimeError
    finally:
        _end_group(child)
        child.stdout.close()
        watch.kill()
        watch.communicate()
    for text, finished in lines.feed(b"\n"):
        show(text, finished)
    return child.returncode


def _start(command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    """The command in a process group of its own, both its outputs in one pipe."""
    return subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def guard(target: int) -> subprocess.Popen[bytes]:
    """A shell that ends a process, or the group -target, once this process has ended, if only by SIGKILL.

    It waits at a pipe whose other end is held by this process alone. To be killed when `target` is gone.
    """
    stop, kill = (f"kill -s {sent} -- {target}" for sent in ("TERM", "KILL"))
    wait = f"for _ in $(seq {GRACE:.0f}); do kill -s 0 -- {target} || exit; sleep 1; done"
    command = ["sh", "-c", f"read -r _; {stop}; {wait}; {kill}"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
    )


class Lines:
    """Cuts a byte stream into finished lines and the moving line that a carriage return starts over."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._rest = ""

    def feed(self, data: bytes) -> Iterator[tuple[str, bool]]:
        """The lines that `data` completes, each with True, and at most one moving line with False."""
        *done, rest = (self._rest + self._decode(data)).split("\n")
        for line in done:
            if text := _last_piece(line):
                yield text, True
        self._rest = rest
        if "\r" in rest and data:
            text = _last_piece(rest)
            self._rest = "\r" + text + "\r" * rest.endswith("\r")  # what comes next is written over it
            if text:
                yield text, False


def _last_piece(line: str) -> str:
    pieces = [piece.rstrip() for piece in ESCAPES.sub("", line).split("\r")]
    return next((piece for piece in reversed(pieces) if piece), "")


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM to all that is left of the group, SIGKILL to what is still left after the grace."""
    for sent, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        if child.poll() is not None and not _members(child.pid):
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, sent)
        until = time.monotonic() + patience
        while time.monotonic() < until and (child.poll() is None or _members(child.pid)):
            time.sleep(POLL / 2)


def _members(group: int) -> list[int]:
    """Living processes of a group; one that is dead and waits for its parent's look is not living."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process.pid)
        except (psutil.Error, ProcessLookupError):
            continue
    return members
