"""The one error that a person can mend."""

from __future__ import annotations


class PricewrightError(Exception):
    """Something the user can mend: the message says what was wrong, where, and what to do.

    Shown without a traceback; the process ends with exit code 1.
    """
