"""A year in a toy chain; the flows, the service in its process, store, registry and gate are real."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness

from components.core import registry
from components.core.errors import PricewrightError
from flows import loop, loop_year
from tests.support.project import ROOT
from tests.support.registry import NAME
from tests.support.toy_chain import LISTINGS, work_in, write_toy_chain

SHORT = replace(
    loop_year.YEAR,
    listings=LISTINGS,
    rows=60,
    late=1,
    spring=5,
    level=0.3,
    look=1,
    autumn=13,
    narrow=0.05,
    winter=14,
    last=18,
)


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.mark.slow
def test_a_year_goes_from_a_shift_to_a_promotion_a_refusal_and_a_rollback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> None:
    serve = {"poll_seconds": 0.5, "shadow": "challenger", "keep_days": 400.0, "requests_per_minute": 60000}
    watch = {"components": 0, "reference_rows": 100, "batch_rows": 40, "bootstrap": 100}
    write_toy_chain(tmp_path, empty_store, serve=serve, watch=watch)
    work_in(tmp_path, monkeypatch)
    told = "\n".join(loop_year.whole(SHORT))
    assert "The gate made version 1 champion" in told
    assert "A quarter without change: no alarm" in told
    assert "Version 2 trained" in told
    assert "because of alarm:" in told
    assert "On live truth version 2: promoted" in told
    assert "The gate: promoted" in told
    assert "The service moved to version 2" in told
    assert "Version 3 with an interval of 5%: rejected, coverage of the interval is" in told
    assert "Version 1 answers again" in told
    assert re.search(r"0 of 1,\d{3} requests had no answer", told)
    assert registry.aliases(NAME) == {"champion": "1", "previous": "2", "challenger": "3"}
    page = Path("reports/loop/loop.html").read_text(encoding="utf-8")
    assert f"{SHORT.rows * SHORT.last:,} requests over HTTP" in page
    assert "because of alarm:" in page


def test_a_year_is_played_in_a_clone_of_its_own_with_small_values(tmp_path: Path) -> None:
    (tmp_path / "year").mkdir()
    before = (ROOT / "params.yaml").read_text(encoding="utf-8")
    loop.copy_of(ROOT, tmp_path / "year")
    head = subprocess.run(
        ["git", "status", "--porcelain"], cwd=tmp_path / "year", capture_output=True, text=True, check=True
    )
    assert head.stdout == ""
    assert "shop.jsonl" in (tmp_path / "year/params.yaml").read_text(encoding="utf-8")
    assert (ROOT / "params.yaml").read_text(encoding="utf-8") == before
    assert json.loads((tmp_path / "year/artifacts/base/config.json").read_text(encoding="utf-8"))
    with pytest.raises(PricewrightError, match="is no clone of git"):
        loop.copy_of(tmp_path, tmp_path / "other")


def test_no_year_is_played_with_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["loop", "--folder", "year"])
    params = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("kind: number", "kind: label")
    Path("params.yaml").write_text(params, encoding="utf-8")
    with pytest.raises(SystemExit, match="the loop is made for numbers only; task.kind is label"):
        loop.main()
    assert not Path("year").exists()
