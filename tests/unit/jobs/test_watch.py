"""What the supervisor tells of the whole deployment."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.domain.ids import UnixSeconds
from cluster.errors import StoreBusy
from cluster.stores.memory import memory_stores
from cluster.stores.memory.audit import MemoryAudit
from cluster.stores.memory.webhooks import MemoryWebhooks
from cluster.stores.objects import MemoryObjects
from cluster.telemetry import catalogue as told
from cluster.telemetry.memory import MemoryTelemetry
from serve_apps.gateway.readiness import State
from serve_apps.jobs.watch import Watch
from tests.conformance import samples
from tests.unit.allocation.worlds import ManualClock


class BusyWebhooks(MemoryWebhooks):
    """A queue whose database does not answer."""

    def overdue(self, since: UnixSeconds) -> int:
        raise StoreBusy(f"counting from {since}")


def test_parts_disk_and_webhooks_are_told(tmp_path: Path) -> None:
    stores, clock = memory_stores(MemoryObjects()), ManualClock()
    stores.webhooks.add(samples.webhook(), 10)
    stores.deliveries.enqueue([samples.delivery("msg", "whk-1", clock.now() - 61.0)], 10)
    telemetry = MemoryTelemetry()
    state = {"database": None, "allocator-0": "does not answer"}
    Watch(stores, lambda: state, tmp_path, clock, telemetry).look()
    assert telemetry.gauge(told.PART_READY, "database") == 1.0
    assert telemetry.gauge(told.PART_READY, "allocator-0") == 0.0
    assert telemetry.gauge(told.WEBHOOK_BACKLOG) == 1
    free, size = telemetry.gauge(told.DISK_FREE), telemetry.gauge(told.DISK_SIZE)
    assert free is not None
    assert size is not None
    assert 0 < free < size


def test_a_database_that_is_away_is_no_backlog_of_none(tmp_path: Path) -> None:
    stores = replace(memory_stores(MemoryObjects()), deliveries=BusyWebhooks(MemoryAudit()))
    telemetry = MemoryTelemetry()
    Watch(
        stores, lambda: {"database": "does not answer"}, tmp_path, ManualClock(), telemetry
    ).look()
    assert telemetry.gauge(told.PART_READY, "database") == 0.0
    assert telemetry.gauge(told.WEBHOOK_BACKLOG) is None


def test_what_changes_is_noted_once_with_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reasons = (None, "does not answer", None, None)
    states: Iterator[State] = iter([{"database": reason} for reason in reasons])
    stores, telemetry = memory_stores(MemoryObjects()), MemoryTelemetry()
    watch = Watch(stores, lambda: next(states), tmp_path, ManualClock(), telemetry)
    for _ in range(4):
        watch.look()
    assert caplog.messages == ["database does not answer", "database is well again"]
