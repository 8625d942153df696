"""What a shard tells of itself: by batches, and how it stands."""

from allocation.ports import Outcome
from allocation.service import ShardService
from allocation.tally import ACTIVE_S, ShardTally
from cluster.domain.ids import WorkerId
from cluster.errors import ShardUnavailable, UnknownLabel
from cluster.telemetry import catalogue as told
from cluster.telemetry.memory import MemoryTelemetry
from tests.unit.allocation.worlds import ITEMS, JOB, SHARD, ManualClock, snapshot, submit, worker


def test_answers_are_counted_by_what_became_of_them() -> None:
    telemetry = MemoryTelemetry()
    tally = ShardTally(telemetry, SHARD, ManualClock())
    stored, replayed = Outcome(token="a"), Outcome(token="a", replayed=True)  # noqa: S106
    refused = Outcome(token="b", error=UnknownLabel(JOB, "cow"))  # noqa: S106
    away = Outcome(token="c", error=ShardUnavailable(0))  # noqa: S106
    tally.answered([WorkerId("ann"), WorkerId("bob")], [(stored, replayed), (refused, away, away)])
    counted = {
        outcome: telemetry.total(told.ANSWERS, "0", outcome)
        for outcome in ("stored", "replayed", "refused", "unavailable")
    }
    assert counted == {"stored": 1, "replayed": 1, "refused": 1, "unavailable": 2}
    assert telemetry.observations(told.WRITE_ROWS, "0") == [5]


def test_leases_questions_and_workers_are_told_as_they_stand(
    service: ShardService, clock: ManualClock
) -> None:
    # Given a shard at which one worker holds three leases and another has answered
    telemetry = MemoryTelemetry()
    tally = ShardTally(telemetry, SHARD, clock)
    service.publish(snapshot(ITEMS))
    held = service.claim(worker("ann"), 3)
    (offer,) = service.claim(worker("bob"), 1)
    submit(service, worker("bob"), offer)
    tally.claimed([WorkerId("ann"), WorkerId("bob")], [len(held), 1])
    tally.look(service)
    assert telemetry.total(told.CLAIMS, "0") == 2
    assert telemetry.total(told.LEASES_GRANTED, "0") == 4
    assert telemetry.gauge(told.LEASES_OUT, "0") == 3
    assert telemetry.gauge(told.WORKERS_ACTIVE, "0") == 2
    assert telemetry.gauge(told.PARTITIONS, "0") == 1
    wanted = telemetry.gauge(told.OPEN_QUESTIONS, "0")
    assert wanted is not None
    assert wanted > 0
    # When their time is over and nobody comes
    clock.time += ACTIVE_S + 1
    for _ in range(2):
        tally.look(service)
    # Then they have expired, once, and nobody is active
    assert telemetry.total(told.LEASES_EXPIRED, "0") == 3
    assert telemetry.gauge(told.LEASES_OUT, "0") == 0
    assert telemetry.gauge(told.WORKERS_ACTIVE, "0") == 0
