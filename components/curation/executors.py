"""Where `curate` does its work: in this process, on every core of this machine, or on a Dask cluster.

Dask and not Ray: its client hands out an executor of `concurrent.futures`, so the same functions run on it
unchanged, it starts in a second, and its scheduler needs no daemon of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from components.core.errors import PricewrightError
from components.curation.minhash import Map

CLUSTER = "PRICEWRIGHT_DASK"
"""Environment variable with the address of a Dask scheduler. Its workers see the project's folder under the
same path, on a file system that they share."""


@contextmanager
def parallel_map(tasks: int) -> Iterator[Map]:
    """A `map` over the cluster, or over processes, one for each core; `map` itself for a single task.

    Raises PricewrightError where a cluster is named and Dask is missing or does not answer.
    """
    if address := os.environ.get(CLUSTER):
        with _cluster(address) as cluster_map:
            yield cluster_map
        return
    cores = min(len(os.sched_getaffinity(0)), tasks)
    if cores < 2:
        yield map
        return
    with ProcessPoolExecutor(cores, get_context("forkserver")) as pool:
        yield pool.map


@contextmanager
def _cluster(address: str) -> Iterator[Map]:
    try:
        from distributed import Client

        client = Client(address, timeout=10)
    except ImportError as error:
        raise PricewrightError(
            f'{CLUSTER} is set and Dask is missing: pip install -e ".[cluster]"'
        ) from error
    except OSError as error:
        raise PricewrightError(f"{CLUSTER}: no Dask scheduler answers at {address}: {error}") from error
    with client:
        executor = client.get_executor(pure=False)
        yield lambda function, tasks: executor.map(function, list(tasks))  # Dask maps over no iterators
