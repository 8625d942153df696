"""Where metrics go: a narrow port, so that whoever counts something needs no Ray."""

from typing import Protocol

from cluster.telemetry.metrics import Counter, Gauge, Histogram


class Telemetry(Protocol):
    """Takes figures of the catalogue's metrics, each with all of its labels; never blocks.

    Raises InvalidField for a metric, a label or a value that the catalogue does not declare.
    """

    def count(self, metric: Counter, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter; an amount of 0 or less adds nothing."""
        ...

    def set(self, metric: Gauge, value: float, **labels: str) -> None:
        """Say how something is now."""
        ...

    def observe(self, metric: Histogram, value: float, **labels: str) -> None:
        """Say how large something was."""
        ...
