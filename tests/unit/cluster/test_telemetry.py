"""Metrics: only what the catalogue declares, by names that Prometheus takes, in bounded number."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import InvalidField
from cluster.telemetry import catalogue as told
from cluster.telemetry.catalogue import CATALOGUE
from cluster.telemetry.memory import MemoryTelemetry
from cluster.telemetry.metrics import OTHER, Counter, Gauge, Histogram, Label, LabelBook

NAME = re.compile(r"muster_[a-z][a-z_]*[a-z]")


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_a_metric_has_a_name_a_meaning_and_few_series(
    metric: Counter | Gauge | Histogram,
) -> None:
    assert NAME.fullmatch(metric.name)
    assert not metric.name.endswith("_total")
    assert metric.meaning.endswith(".")
    if isinstance(metric, Histogram):
        assert metric.unit in ("seconds", "rows")
    names = [label.name for label in metric.labels]
    assert len(set(names)) == len(names) <= 3


def test_the_catalogue_has_every_metric_of_its_module_once() -> None:
    declared = [
        value for value in vars(told).values() if isinstance(value, Counter | Gauge | Histogram)
    ]
    assert sorted(map(id, declared)) == sorted(map(id, CATALOGUE))
    assert len({metric.exported for metric in CATALOGUE}) == len(CATALOGUE)


def test_what_is_not_declared_cannot_be_told() -> None:
    telemetry = MemoryTelemetry()
    stranger = Counter(name="muster_jobs_ended", meaning="Not the one of the catalogue.")
    with pytest.raises(InvalidField, match="the catalogue has no muster_jobs_ended"):
        telemetry.count(stranger)
    with pytest.raises(InvalidField, match="is not labelled by"):
        telemetry.count(told.TRAININGS, tenant="acme")
    with pytest.raises(InvalidField, match="lacks its label state"):
        telemetry.count(told.JOBS_ENDED, stage="failed")
    with pytest.raises(InvalidField, match="state is never 'asking'"):
        telemetry.count(told.JOBS_ENDED, state="asking")


def test_what_goes_back_adds_nothing() -> None:
    telemetry = MemoryTelemetry()
    for amount in (2.0, 0.0, -1.0):
        telemetry.count(told.TRAININGS, amount)
    assert telemetry.total(told.TRAININGS) == 2.0


@given(st.lists(st.text(max_size=3), max_size=40))
def test_a_counter_never_has_more_series_than_its_label_allows(values: list[str]) -> None:
    metric = Counter(name="some", meaning="Something.", labels=(Label("who", values_max=5),))
    book = LabelBook((metric,))
    seen = [book.tags(metric, {"who": value})["who"] for value in values]
    assert len(set(seen)) <= 6
    first = list(dict.fromkeys(values))[:5]
    kept = [value if value in first else OTHER for value in values]
    assert seen == kept


def test_the_series_of_a_gauge_that_is_set_no_more_makes_room() -> None:
    metric = Gauge(name="some", meaning="Something.", labels=(Label("who", values_max=2),))
    book = LabelBook((metric,))
    for value in ("a", "b", "a", "c", "a"):
        assert book.tags(metric, {"who": value}) == {"who": value}


@pytest.mark.parametrize("bounds", [(), (0.0, 1.0), (2.0, 1.0), (1.0, 1.0)])
def test_bounds_that_do_not_rise_are_refused(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="bounds must be positive and rise"):
        Histogram(name="some", meaning="Something.", bounds=bounds)


@pytest.mark.parametrize("name", ["le", "job", "a-b", ""])
def test_a_label_that_prometheus_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a label"):
        Label(name)


def test_a_catalogue_has_each_name_once() -> None:
    metric = Counter(name="some", meaning="Something.")
    with pytest.raises(ValueError, match="two metrics of one name"):
        LabelBook((metric, metric))
