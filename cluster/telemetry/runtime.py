"""Metrics through Ray: every node's agent adds up what its processes count, and exports it."""

from ray.util import metrics as ray_metrics

from cluster.telemetry.catalogue import CATALOGUE
from cluster.telemetry.metrics import Counter, Gauge, Histogram, LabelBook, Metric


class RayTelemetry:
    """A `Telemetry` of this process, which must have joined a cluster.

    A process hands what it has counted to its node's agent every ten seconds, and to nobody when it
    is killed. A figure costs some microseconds, so what happens thousands of times a second is
    counted in batches.
    """

    def __init__(self, catalogue: tuple[Metric, ...] = CATALOGUE) -> None:
        self._book = LabelBook(catalogue)
        self._counters: dict[str, ray_metrics.Counter] = {}
        self._gauges: dict[str, ray_metrics.Gauge] = {}
        self._histograms: dict[str, ray_metrics.Histogram] = {}

    def count(self, metric: Counter, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter; an amount of 0 or less adds nothing."""
        if amount <= 0:
            return
        tags = self._book.tags(metric, labels)
        counter = self._counters.get(metric.name)
        if counter is None:
            counter = ray_metrics.Counter(metric.name, metric.meaning, _keys(metric))
            self._counters[metric.name] = counter
        counter.inc(amount, tags)

    def set(self, metric: Gauge, value: float, **labels: str) -> None:
        """Say how something is now."""
        tags = self._book.tags(metric, labels)
        gauge = self._gauges.get(metric.name)
        if gauge is None:
            gauge = ray_metrics.Gauge(metric.name, metric.meaning, _keys(metric))
            self._gauges[metric.name] = gauge
        gauge.set(value, tags)

    def observe(self, metric: Histogram, value: float, **labels: str) -> None:
        """Say how large something was."""
        tags = self._book.tags(metric, labels)
        histogram = self._histograms.get(metric.name)
        if histogram is None:
            histogram = ray_metrics.Histogram(
                metric.name, metric.meaning, list(metric.bounds), _keys(metric)
            )
            self._histograms[metric.name] = histogram
        histogram.observe(value, tags)


def _keys(metric: Metric) -> tuple[str, ...]:
    return tuple(label.name for label in metric.labels)
