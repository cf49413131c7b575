"""What Prometheus reads at /metrics: requests, their time, the queue, the version, and what was answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from components.serving.follower import Follower

NUMBERS = ("integer", "long", "float", "double")
"""MLflow's types of columns whose answers are counted by band."""
LABEL, LABELS = "value", "labels"
"""Columns of a version that answers labels: the one that is counted, and the one by which it is known."""
OUTSIDE = "outside_training"
"""Column in which a version that knows it says whether a row is unlike all that it was trained on."""
PREFIX = "pricewright_"


class Metrics:
    """Counters of one service."""

    def __init__(self, follower: Follower, bands: list[float]) -> None:
        """`bands` are the upper bounds by which numbers that are answered are counted."""
        self.registry = CollectorRegistry(auto_describe=False)
        self.requests = Counter(
            f"{PREFIX}requests", "Requests by address and status.", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            f"{PREFIX}request_seconds", "Seconds of a request.", ["path"], registry=self.registry
        )
        self.rows = Counter(
            f"{PREFIX}rows", "Rows answered, by version.", ["version"], registry=self.registry
        )
        self.outside = Counter(
            f"{PREFIX}rows_outside_training",
            "Rows unlike what the version was trained on, where it knows.",
            ["version"],
            registry=self.registry,
        )
        self.answers = Histogram(
            f"{PREFIX}answer",
            "Numbers answered, by column.",
            ["column"],
            buckets=bands,
            registry=self.registry,
        )
        self.labels = Counter(
            f"{PREFIX}label", "Labels answered, by version.", ["version", "label"], registry=self.registry
        )
        self._lost = Counter(
            f"{PREFIX}store_lost_rows", "Rows that the request store could not keep.", registry=self.registry
        )
        self._shadow = Counter(
            f"{PREFIX}shadow_rows", "Rows for the shadow.", ["answered"], registry=self.registry
        )
        self.registry.register(_Now(follower))

    def requested(self, path: str, status: int, seconds: float) -> None:
        """Count a request that is over."""
        self.requests.labels(path, str(status)).inc()
        self.seconds.labels(path).observe(seconds)

    def answered(self, version: str, outputs: list[dict[str, Any]], predictions: Any) -> None:
        """Count the rows that a version with the columns `outputs` has answered."""
        rows = [row for row in predictions if isinstance(row, dict)] if isinstance(predictions, list) else []
        self.rows.labels(version).inc(len(rows))
        names = {column.get("name"): column["type"] for column in outputs}
        if LABELS in names:
            for row in rows:
                self.labels.labels(version, str(row.get(LABEL))).inc()
        else:
            self._count_numbers([name for name, kind in names.items() if kind in NUMBERS], rows)
        if OUTSIDE in names:
            self.outside.labels(version).inc(sum(row.get(OUTSIDE) is True for row in rows))

    def _count_numbers(self, names: list[Any], rows: list[dict[str, Any]]) -> None:
        for name in names:
            band = self.answers.labels(name)
            for row in rows:
                if isinstance(value := row.get(name), int | float):
                    band.observe(value)

    def lost(self, rows: int) -> None:
        """Count rows that the request store could not keep."""
        self._lost.inc(rows)

    def shadowed(self, rows: int) -> None:
        """Count rows that the shadow answered."""
        self._shadow.labels("yes").inc(rows)

    def shadow_lost(self, rows: int) -> None:
        """Count rows that the shadow did not answer."""
        self._shadow.labels("no").inc(rows)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


class _Now(Collector):
    """What is true at the moment of the question."""

    def __init__(self, follower: Follower) -> None:
        self.follower = follower

    def collect(self) -> Iterator[Metric]:
        current = self.follower.current
        version = GaugeMetricFamily(
            f"{PREFIX}version", "The version that answers.", labels=["model", "version"]
        )
        if current:
            version.add_metric([current.version.model, current.version.number], 1.0)
        yield version
        waiting = current.batcher.rows_waiting if current else 0
        yield GaugeMetricFamily(f"{PREFIX}queue_rows", "Rows that wait for the model.", value=waiting)
        ready = bool(current and current.process.alive)
        yield GaugeMetricFamily(f"{PREFIX}ready", "1 while a version answers.", value=float(ready))
        yield GaugeMetricFamily(f"{PREFIX}swaps", "Versions that took over.", value=self.follower.swaps)
