from __future__ import annotations

import os

import pytest

from components.core.errors import PricewrightError
from components.curation.executors import CLUSTER, parallel_map
from tests.support.curated import SECTION, assert_same, catalogue, curate


def test_many_processes_curate_as_one_does() -> None:
    listings = catalogue(2, size=40)
    with parallel_map(2) as run:
        assert (run is map) == (len(os.sched_getaffinity(0)) < 2)
        assert_same(curate(listings, SECTION, 20, run), curate(listings, SECTION))


def test_one_task_needs_no_process() -> None:
    with parallel_map(1) as run:
        assert run is map


def test_a_dask_cluster_curates_as_one_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason='needs pip install -e ".[cluster]"')
    listings = catalogue(2, size=40)
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    # threads are up at once; tasks are pickled all the same
    options |= {"processes": False, "protocol": "tcp"}
    with distributed.LocalCluster(**options) as cluster:
        monkeypatch.setenv(CLUSTER, cluster.scheduler_address)
        with parallel_map(2) as run:
            assert_same(curate(listings, SECTION, 20, run), curate(listings, SECTION))


def test_a_cluster_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason='needs pip install -e ".[cluster]"')
    monkeypatch.setenv(CLUSTER, "tcp://127.0.0.1:9")
    monkeypatch.setattr("distributed.Client.__init__", _refused)
    with (
        pytest.raises(PricewrightError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"),
        parallel_map(2),
    ):
        pass


def _refused(*_: object, **__: object) -> None:
    raise OSError("refused")
