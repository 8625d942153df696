"""Writes Grafana's dashboard anew, infra/k8s/base/dashboard.yaml: `python -m scripts.dashboard`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FILE = Path(__file__).resolve().parent.parent / "infra" / "k8s" / "base" / "dashboard.yaml"
NAME = "muster.json"
HEAD = """\
# Grafana's dashboard; its sidecar finds it by the label. Made by `python -m scripts.dashboard`.
apiVersion: v1
kind: ConfigMap
metadata:
  name: muster-dashboard
  namespace: muster
  labels: {grafana_dashboard: "1"}
data:
  muster.json: |
"""
COLUMNS, HEIGHT = 3, 7
GRID = 24

Unit = Literal["short", "s", "percentunit", "reqps", "ops", "bytes"]


@dataclass(frozen=True, slots=True)
class Query:
    """An expression and how its series are called, by `{{label}}`."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph; `stacked` where its series add up to something."""

    title: str
    unit: Unit
    queries: tuple[Query, ...]
    stacked: bool = False


def rate(name: str, by: str, window: str = "$__rate_interval") -> str:
    """Return the rate of a counter, over all processes."""
    return f"sum by ({by}) (rate(ray_muster_{name}_total[{window}]))"


def quantile(q: float, name: str, by: str) -> str:
    """Return a quantile of a histogram, over all processes."""
    buckets = f"rate(ray_muster_{name}_bucket[$__rate_interval])"
    return f"histogram_quantile({q}, sum by ({by}, le) ({buckets}))"


def gauge(name: str, by: str, function: str = "max") -> str:
    """Return a gauge, over whoever tells it."""
    return f"{function} by ({by}) (ray_muster_{name})"


ROWS: dict[str, tuple[Panel, ...]] = {
    "Service levels": (
        Panel("Requests by route", "reqps", (Query(rate("http_requests", "route"), "{{route}}"),)),
        Panel(
            "Share of requests lost",
            "percentunit",
            (
                Query("muster:http_errors:ratio_5m", "failed, 5 min"),
                Query("muster:http_errors:ratio_1h", "failed, 1 h"),
                Query("muster:http_slow:ratio_5m", "slow, 5 min"),
            ),
        ),
        Panel(
            "Latency by route, 99 of 100",
            "s",
            (Query(quantile(0.99, "http_request_seconds", "route"), "{{route}}"),),
        ),
        Panel(
            "Refusals by reason", "reqps", (Query(rate("http_refusals", "reason"), "{{reason}}"),)
        ),
        Panel("Parts that are ready", "short", (Query(gauge("part_ready", "part"), "{{part}}"),)),
        Panel(
            "Disk of the data folder",
            "bytes",
            (
                Query("min(ray_muster_disk_free_bytes)", "free"),
                Query("max(ray_muster_disk_size_bytes)", "size"),
            ),
        ),
    ),
    "Jobs": (
        Panel(
            "Jobs by state", "short", (Query(gauge("jobs", "state"), "{{state}}"),), stacked=True
        ),
        Panel(
            "Runners",
            "short",
            (
                Query("max(ray_muster_runners)", "running"),
                Query("max(ray_muster_jobs_waiting)", "waiting"),
                Query("max(ray_muster_jobs_paused)", "paused"),
            ),
        ),
        Panel(
            "Jobs that ended, by hour",
            "short",
            (Query("sum by (state) (increase(ray_muster_jobs_ended_total[1h]))", "{{state}}"),),
        ),
        Panel(
            "Accuracy: expected and goal",
            "percentunit",
            (
                Query(gauge("job_expected_accuracy", "job_id"), "expected {{job_id}}"),
                Query(gauge("job_goal_accuracy", "job_id"), "goal {{job_id}}"),
                Query(gauge("job_certified_accuracy", "job_id"), "certified {{job_id}}"),
            ),
        ),
        Panel(
            "Share of items delivered",
            "percentunit",
            (
                Query(
                    'max by (job_id) (ray_muster_job_items{part="delivered"})'
                    ' / on (job_id) (max by (job_id) (ray_muster_job_items{part="accepted"}) > 0)',
                    "{{job_id}}",
                ),
            ),
        ),
        Panel(
            "Since a job last came further",
            "s",
            (Query(gauge("job_idle_seconds", "job_id"), "{{job_id}}"),),
        ),
        Panel(
            "Stages, median time so far",
            "s",
            (
                Query(
                    "histogram_quantile(0.5, sum by (state, le)"
                    " (ray_muster_job_stage_seconds_bucket))",
                    "{{state}}",
                ),
            ),
        ),
        Panel(
            "Cost of a thousand labels",
            "short",
            (
                Query("muster:cost_per_thousand_labels:6h", "all, 6 h"),
                Query(gauge("cost_per_thousand_labels", "job_id"), "{{job_id}}"),
            ),
        ),
        Panel(
            "Spend, by hour",
            "short",
            (Query("sum by (tenant) (increase(ray_muster_spend_total[1h]))", "{{tenant}}"),),
        ),
    ),
    "Crowd": (
        Panel(
            "Answers by what became of them",
            "ops",
            (Query(rate("answers", "outcome"), "{{outcome}}"),),
            stacked=True,
        ),
        Panel(
            "Questions and leases",
            "short",
            (
                Query("sum(ray_muster_open_questions)", "open"),
                Query("sum(ray_muster_leases_out)", "out"),
            ),
        ),
        Panel(
            "Workers active", "short", (Query(gauge("workers_active", "shard"), "shard {{shard}}"),)
        ),
        Panel(
            "Leases granted and run out",
            "ops",
            (
                Query("sum(rate(ray_muster_leases_granted_total[$__rate_interval]))", "granted"),
                Query("sum(rate(ray_muster_leases_expired_total[$__rate_interval]))", "run out"),
            ),
        ),
        Panel(
            "Writes to the answer log, 99 of 100",
            "s",
            (Query(quantile(0.99, "answer_write_seconds", "shard"), "shard {{shard}}"),),
        ),
        Panel(
            "Answers that are written together, median",
            "short",
            (Query(quantile(0.5, "answer_write_rows", "shard"), "shard {{shard}}"),),
        ),
    ),
    "Models and the rest": (
        Panel(
            "Items",
            "ops",
            (
                Query("sum(rate(ray_muster_items_ingested_total[$__rate_interval]))", "ingested"),
                Query(
                    "sum(rate(ray_muster_items_prelabelled_total[$__rate_interval]))",
                    "pre-labelled",
                ),
                Query(
                    "sum(rate(ray_muster_labels_delivered_total[$__rate_interval]))", "delivered"
                ),
                Query(rate("items_refused", "why"), "{{why}}"),
            ),
        ),
        Panel(
            "Pre-labelling: backlog",
            "short",
            (Query("sum(ray_muster_prelabel_backlog_items)", "items"),),
        ),
        Panel(
            "Pre-labelling: time, 95 of 100",
            "s",
            (Query(quantile(0.95, "prelabel_seconds", "kind"), "{{kind}}"),),
        ),
        Panel(
            "Pre-labelling: errors and poison",
            "ops",
            (
                Query(rate("prelabel_errors", "error"), "{{error}}"),
                Query("sum(rate(ray_muster_items_poisoned_total[$__rate_interval]))", "poison"),
            ),
        ),
        Panel(
            "Trainings, promotions, rollbacks, by hour",
            "short",
            (
                Query("sum(increase(ray_muster_trainings_total[1h]))", "trainings"),
                Query(
                    'sum by (kind) (increase(ray_muster_notices_total{kind=~"model.*"}[1h]))',
                    "{{kind}}",
                ),
            ),
        ),
        Panel(
            "Webhook attempts",
            "ops",
            (
                Query(rate("webhook_attempts", "outcome"), "{{outcome}}"),
                Query("max(ray_muster_webhook_backlog)", "endpoints that wait"),
            ),
        ),
    ),
}
"""The panels of the dashboard, in rows."""


def main() -> None:
    """Write the document."""
    FILE.write_text(document(), "utf-8")


def document() -> str:
    """Return the ConfigMap with the dashboard."""
    text = json.dumps(dashboard(), indent=1)
    return HEAD + "".join(f"    {line}\n" for line in text.splitlines())


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": y, "w": GRID, "h": 1}
        panels.append({"type": "row", "title": title, "gridPos": place, "panels": []})
        y += 1
        panels += (_panel(panel, index, y) for index, panel in enumerate(row))
        y += HEIGHT * -(-len(row) // COLUMNS)
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}
    return {
        "title": "Muster",
        "uid": "muster",
        "schemaVersion": 39,
        "tags": ["muster"],
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [source]},
        "panels": panels,
    }


def _panel(panel: Panel, index: int, y: int) -> dict[str, Any]:
    width = GRID // COLUMNS
    custom: dict[str, Any] = {"fillOpacity": 10, "showPoints": "never"}
    if panel.stacked:
        custom["stacking"] = {"mode": "normal"}
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {
            "x": index % COLUMNS * width,
            "y": y + index // COLUMNS * HEIGHT,
            "w": width,
            "h": HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": _targets(panel.queries),
    }


def _targets(queries: Sequence[Query]) -> list[dict[str, str]]:
    return [
        {"refId": chr(ord("A") + place), "expr": query.expr, "legendFormat": query.legend}
        for place, query in enumerate(queries)
    ]


if __name__ == "__main__":
    main()
