"""The service's log: lines on stderr. No request is written there, so that no key is."""

from __future__ import annotations

import sys
from datetime import datetime


def log(line: str) -> None:
    """Write a line, with the time of day before it."""
    print(f"{datetime.now():%H:%M:%S} {line}", file=sys.stderr, flush=True)
