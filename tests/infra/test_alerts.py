"""Alerts and the dashboard: of metrics that exist, with runbooks, firing when they should."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.telemetry.catalogue import CATALOGUE
from cluster.telemetry.metrics import Histogram
from scripts import dashboard
from tests.infra.manifests import ROOT, of_kind

RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
SERIES = Path(__file__).with_name("alerts_test.yaml")
NAME = re.compile(r"\bray_muster_\w+")
RECORDED = re.compile(r"\bmuster:\w+:\w+")
SELECTED = re.compile(r"\b(ray_muster_\w+)\{([^}]*)\}")

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="there is no promtool, which Debian's package `prometheus` brings",
)


def rules() -> list[dict[str, Any]]:
    (document,) = of_kind("PrometheusRule")
    return [rule for group in document["spec"]["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def shown() -> dict[str, Any]:
    (document,) = [
        each for each in of_kind("ConfigMap") if each["metadata"]["name"] == "muster-dashboard"
    ]
    found: dict[str, Any] = json.loads(document["data"][dashboard.NAME])
    return found


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    for panel in shown()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def exported() -> dict[str, frozenset[str]]:
    """Return every name that may be queried, with its labels."""
    names: dict[str, frozenset[str]] = {}
    for metric in CATALOGUE:
        labels = frozenset(label.name for label in metric.labels)
        if isinstance(metric, Histogram):
            names |= {f"{metric.exported}_bucket": labels | {"le"}}
            names |= {f"{metric.exported}{end}": labels for end in ("_sum", "_count")}
        else:
            names[metric.exported] = labels
    return names


def test_whatever_is_queried_is_in_the_catalogue_and_has_the_labels_it_is_chosen_by() -> None:
    names = exported()
    used = {name for expr in expressions() for name in NAME.findall(expr)}
    assert used
    assert used - names.keys() == set()
    for expr in expressions():
        for name, selector in SELECTED.findall(expr):
            chosen = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
            assert chosen <= names[name], f"{name}{{{selector}}}"


def test_whatever_recorded_series_is_queried_is_recorded() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert {name for expr in expressions() for name in RECORDED.findall(expr)} == recorded


def test_every_value_a_rule_chooses_by_is_one_that_is_told() -> None:
    values = {
        (metric.exported, label.name): label.values
        for metric in CATALOGUE
        for label in metric.labels
        if label.values
    }
    for expr in expressions():
        for name, selector in SELECTED.findall(expr):
            for label, value in re.findall(r'(\w+)="([^"]*)"', selector):
                assert value in values.get((name, label), {value}), f"{name} {label}={value}"


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    named = [alert["alert"] for alert in alerts()]
    assert len(set(named)) == len(named)
    assert sorted(re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE)) == sorted(named)
    for alert in alerts():
        assert alert["annotations"]["runbook"] == f"docs/runbooks.md#{alert['alert'].lower()}"
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        assert alert["annotations"]["summary"]


def test_the_dashboard_is_as_the_script_makes_it() -> None:
    assert dashboard.FILE.read_text() == dashboard.document(), "run python -m scripts.dashboard"


def test_no_two_panels_of_the_dashboard_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in shown()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < dashboard.GRID
        taken |= cells


def test_every_alert_is_tried_on_series() -> None:
    tried = {
        case["alertname"]
        for test in yaml.safe_load(SERIES.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert tried == {alert["alert"] for alert in alerts()}


@needs_promtool
def test_prometheus_takes_the_rules_and_they_fire_when_they_should(tmp_path: Path) -> None:
    (document,) = of_kind("PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(document["spec"]))
    (tmp_path / SERIES.name).write_text(SERIES.read_text())
    done = subprocess.run(
        ["promtool", "test", "rules", SERIES.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
