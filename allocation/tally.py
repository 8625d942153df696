"""What a shard tells its operators, in batches as it works: nothing costs a figure an answer."""

from collections.abc import Iterable, Sequence

from allocation.ports import Outcome
from allocation.service import ShardService
from cluster.clock import Clock
from cluster.domain.ids import ShardId, UnixSeconds, WorkerId
from cluster.errors import Unavailable
from cluster.telemetry import catalogue as told
from cluster.telemetry.port import Telemetry

GAUGES_EVERY_S = 10.0
"""How often gauges are set: often enough to stay exported, seldom enough to cost nothing."""

ACTIVE_S = 300.0
"""How long a worker counts as active after its last call."""


class ShardTally:
    """Counts for one shard; belongs to its event loop."""

    def __init__(self, telemetry: Telemetry, shard_id: ShardId, clock: Clock) -> None:
        self._telemetry, self._clock = telemetry, clock
        self._shard = str(shard_id)
        self._called_at: dict[WorkerId, UnixSeconds] = {}
        self._expired = 0

    def claimed(self, workers: Sequence[WorkerId], offers: Iterable[int]) -> None:
        """Count claims and how many leases each was given."""
        self._called(workers)
        self._telemetry.count(told.CLAIMS, len(workers), shard=self._shard)
        self._telemetry.count(told.LEASES_GRANTED, sum(offers), shard=self._shard)

    def wrote(self, seconds: float) -> None:
        """Tell how long a write to the log took."""
        self._telemetry.observe(told.WRITE_SECONDS, seconds, shard=self._shard)

    def answered(self, workers: Sequence[WorkerId], replies: Sequence[Sequence[Outcome]]) -> None:
        """Count answers that came together by what became of them."""
        self._called(workers)
        stored = replayed = refused = unavailable = 0
        for outcomes in replies:
            for outcome in outcomes:
                if outcome.error is None:
                    stored, replayed = stored + (not outcome.replayed), replayed + outcome.replayed
                elif isinstance(outcome.error, Unavailable):
                    unavailable += 1
                else:
                    refused += 1
        self._telemetry.observe(told.WRITE_ROWS, sum(map(len, replies)), shard=self._shard)
        count, shard = self._telemetry.count, self._shard
        count(told.ANSWERS, stored, shard=shard, outcome="stored")
        count(told.ANSWERS, replayed, shard=shard, outcome="replayed")
        count(told.ANSWERS, refused, shard=shard, outcome="refused")
        count(told.ANSWERS, unavailable, shard=shard, outcome="unavailable")

    def look(self, service: ShardService) -> None:
        """Tell how the shard stands."""
        put, shard, now = self._telemetry.set, self._shard, self._clock.now()
        demands = service.demands()
        put(told.OPEN_QUESTIONS, sum(demand.wanted for demand in demands), shard=shard)
        put(told.PARTITIONS, len(demands), shard=shard)
        put(told.LEASES_OUT, service.leases_out, shard=shard)
        self._telemetry.count(
            told.LEASES_EXPIRED, service.leases_expired - self._expired, shard=shard
        )
        self._expired = service.leases_expired
        since = now - ACTIVE_S
        self._called_at = {who: at for who, at in self._called_at.items() if at >= since}
        put(told.WORKERS_ACTIVE, len(self._called_at), shard=shard)

    def _called(self, workers: Sequence[WorkerId]) -> None:
        self._called_at.update(dict.fromkeys(workers, self._clock.now()))
