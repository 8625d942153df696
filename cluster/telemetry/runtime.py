"""Metrics through Ray: every node's agent adds up what its processes count, and exports it."""

from collections.abc import Callable
from typing import Generic, TypeVar

from ray.util import metrics as ray_metrics

from cluster.telemetry.catalogue import CATALOGUE
from cluster.telemetry.metrics import Counter, Gauge, Histogram, LabelBook, Metric

_Declared = TypeVar("_Declared", bound=Metric)
_Made = TypeVar("_Made")


class RayTelemetry:
    """A `Telemetry` of this process, which must have joined a cluster.

    A process hands what it has counted to its node's agent every ten seconds, and to nobody when it
    is killed. A figure costs some microseconds, so what happens thousands of times a second is
    counted in batches.
    """

    def __init__(self, catalogue: tuple[Metric, ...] = CATALOGUE) -> None:
        self._book = LabelBook(catalogue)
        self._counters = _Exported(_counter)
        self._gauges = _Exported(_gauge)
        self._histograms = _Exported(_histogram)

    def count(self, metric: Counter, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter; an amount of 0 or less adds nothing."""
        if amount > 0:
            tags = self._book.tags(metric, labels)
            self._counters.of(metric).inc(amount, tags)

    def set(self, metric: Gauge, value: float, **labels: str) -> None:
        """Say how something is now."""
        tags = self._book.tags(metric, labels)
        self._gauges.of(metric).set(value, tags)

    def observe(self, metric: Histogram, value: float, **labels: str) -> None:
        """Say how large something was."""
        tags = self._book.tags(metric, labels)
        self._histograms.of(metric).observe(value, tags)


class _Exported(Generic[_Declared, _Made]):
    """Ray's metrics of one kind, each made when it is used first."""

    def __init__(self, make: Callable[[_Declared], _Made]) -> None:
        self._make = make
        self._by_name: dict[str, _Made] = {}

    def of(self, metric: _Declared) -> _Made:
        made = self._by_name.get(metric.name)
        if made is None:
            made = self._by_name[metric.name] = self._make(metric)
        return made


def _counter(metric: Counter) -> ray_metrics.Counter:
    return ray_metrics.Counter(metric.name, metric.meaning, _keys(metric))


def _gauge(metric: Gauge) -> ray_metrics.Gauge:
    return ray_metrics.Gauge(metric.name, metric.meaning, _keys(metric))


def _histogram(metric: Histogram) -> ray_metrics.Histogram:
    return ray_metrics.Histogram(metric.name, metric.meaning, list(metric.bounds), _keys(metric))


def _keys(metric: Metric) -> tuple[str, ...]:
    return tuple(label.name for label in metric.labels)
