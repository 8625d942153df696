"""Writes the catalogue of metrics in docs/observability.md anew: `python -m scripts.metrics_table`.

The catalogue in the code is the only source; a test fails where the page does not say the same.
"""

from pathlib import Path

from cluster.telemetry.catalogue import CATALOGUE
from cluster.telemetry.metrics import Counter, Histogram, Label, Metric

PAGE = Path(__file__).resolve().parent.parent / "docs" / "observability.md"
BEGIN, END = "<!-- metrics: begin -->", "<!-- metrics: end -->"


def main() -> None:
    """Write the page with the table as the code has it."""
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")


def with_table(page: str) -> str:
    """Return a page with what stands between its two marks replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"


def table() -> str:
    """Return a row for each metric."""
    lines = ["| metric | kind | unit | labels | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| `{metric.exported}` | {kind(metric)} | {metric.unit} | {labels(metric)} "
        f"| {metric.meaning} |"
        for metric in CATALOGUE
    ]
    return "\n".join(lines) + "\n"


def kind(metric: Metric) -> str:
    """Return what kind of metric it is, in Prometheus' word."""
    if isinstance(metric, Histogram):
        return "histogram"
    return "counter" if isinstance(metric, Counter) else "gauge"


def labels(metric: Metric) -> str:
    """Return a metric's labels, each with its values or how many it may have."""
    return ", ".join(map(told, metric.labels))


def told(label: Label) -> str:
    """Return one label for the reader."""
    values = ", ".join(f"`{value}`" for value in sorted(label.values))
    return f"`{label.name}` ({values or f'at most {label.values_max}'})"


if __name__ == "__main__":
    main()
