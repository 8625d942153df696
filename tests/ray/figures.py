"""What a running service exports, as Prometheus would read it."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.chaos.service import MusterUp
from cluster.telemetry.metrics import Counter, Gauge, Histogram


class Figures:
    """One reading of everything that the nodes' agent exports."""

    def __init__(self, service: MusterUp) -> None:
        text = httpx.get(f"http://127.0.0.1:{service.metrics_port}/metrics", timeout=30).text
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def sum(self, metric: Counter | Gauge, **labels: str) -> float:
        """Return a metric over all processes, with these labels."""
        return self._sum(metric.exported, labels)

    def observations(self, metric: Histogram, **labels: str) -> float:
        """Return how much was observed, over all processes, with these labels."""
        return self._sum(f"{metric.exported}_count", labels)

    def labels(self, metric: Counter | Gauge, label: str) -> set[str]:
        """Return the values that a label has."""
        return {found.labels[label] for found in self._samples if found.name == metric.exported}

    def _sum(self, name: str, labels: dict[str, str]) -> float:
        return sum(
            found.value
            for found in self._samples
            if found.name == name and labels.items() <= found.labels.items()
        )
