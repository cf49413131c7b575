"""The one error that a person can mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class PricewrightError(Exception):
    """Something the user can mend: the message says what was wrong, where, and what to do.

    Shown without a traceback; the process ends with exit code 1.
    """


@contextmanager
def reading_parquet(path: Path | str) -> Iterator[None]:
    """Raises PricewrightError, with what to do, where the Parquet file read inside is missing or broken."""
    try:
        yield
    except FileNotFoundError as error:
        raise PricewrightError(f"{path} is missing: run the stages above with `dvc repro`") from error
    except (OSError, ValueError, NotImplementedError) as error:
        raise PricewrightError(f"{path} is not readable as Parquet ({error}): run `dvc checkout`") from error
