"""What sources hand on and what the stage `scrape` writes, read back from files in a temporary folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from components import scrape as stage
from components.core.params.scrape import Scrape
from components.core.schemas import Law, Listing, Reject
from components.sources.block_list import BlockList
from components.sources.result import Collected, Spool


class Source(NamedTuple):
    """What a source gave: its tables, and what the report says."""

    rows: pd.DataFrame
    rejects: pd.DataFrame
    law: pd.DataFrame
    counts: dict[str, Any]
    notes: list[str]


def collected(collect: Callable[[Spool], Collected]) -> Source:
    """Run a source with a spool in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        with Spool(Path(folder), BlockList("", frozenset())) as spool:
            result = collect(spool)
        tables = [pd.read_parquet(spool.path(kind)) for kind in (Listing, Reject, Law)]
        return Source(*tables, result.counts, result.notes)


class Scraped(NamedTuple):
    """The tables of the stage and its report."""

    listings: pd.DataFrame
    rejects: pd.DataFrame
    law: pd.DataFrame
    report: dict[str, Any]


def scrape(section: Scrape, forgotten: frozenset[str] = frozenset()) -> Scraped:
    """Run the stage's work in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        out, scratch = Path(folder) / "out", Path(folder) / "scratch"
        scratch.mkdir()
        report = stage.scrape(section, out, scratch, forgotten)
        return Scraped(*(pd.read_parquet(out / f"{name}.parquet") for name in stage.TABLES), report)
