"""Metrics kept in this process, to be looked at."""

from collections import Counter as Tally
from collections import defaultdict

from cluster.telemetry.catalogue import CATALOGUE
from cluster.telemetry.metrics import Counter, Gauge, Histogram, LabelBook, Metric

Series = tuple[str, tuple[str, ...]]
"""A metric's name, and the values of its labels in their order."""


class MemoryTelemetry:
    """A `Telemetry` that remembers: totals, the newest of each gauge, every observation."""

    def __init__(self, catalogue: tuple[Metric, ...] = CATALOGUE) -> None:
        self._book = LabelBook(catalogue)
        self.totals: Tally[Series] = Tally()
        self.gauges: dict[Series, float] = {}
        self.observed: defaultdict[Series, list[float]] = defaultdict(list)

    def count(self, metric: Counter, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter; an amount of 0 or less adds nothing."""
        series = self._series(metric, labels)
        if amount > 0:
            self.totals[series] += amount  # type: ignore[assignment]  # typeshed: whole numbers only

    def set(self, metric: Gauge, value: float, **labels: str) -> None:
        """Say how something is now."""
        self.gauges[self._series(metric, labels)] = value

    def observe(self, metric: Histogram, value: float, **labels: str) -> None:
        """Say how large something was."""
        self.observed[self._series(metric, labels)].append(value)

    def total(self, metric: Counter, *values: str) -> float:
        """Return what a counter has come to for these values of its labels."""
        return self.totals[metric.name, values]

    def gauge(self, metric: Gauge, *values: str) -> float | None:
        """Return what a gauge was last set to, None where it never was."""
        return self.gauges.get((metric.name, values))

    def observations(self, metric: Histogram, *values: str) -> list[float]:
        """Return all that was observed, in order."""
        return self.observed[metric.name, values]

    def _series(self, metric: Metric, labels: dict[str, str]) -> Series:
        return metric.name, tuple(self._book.tags(metric, labels).values())
