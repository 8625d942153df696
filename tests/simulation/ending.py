"""How a world ends: enough honest workers come, until nothing is asked any more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from allocation.router import ShardRouter
from cluster.domain.ids import JobId
from cluster.errors import LeaseExpired
from tests.simulation.crowd import SKILL, VirtualWorker, hire, honest
from tests.simulation.faults import Clock, Node
from tests.simulation.jobs import LEASE_TTL_S
from tests.simulation.stage import Stage, is_finished
from tests.simulation.watch import Watch

HELPERS = range(1_000, 1_012)

IDLE_ROUNDS_MAX = 1_000
"""Lease terms to wait for: clocks may have gone back by hours."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What is left when all faults have ended; `labels` are those of a job."""

    nodes: Sequence[Node]
    stages: Sequence[Stage]
    router: ShardRouter
    clock: Clock
    watch: Watch
    labels: Callable[[JobId], Sequence[str]]

    def come(self, rng: np.random.Generator, check: Callable[[], None]) -> None:
        """Send in the workers, and fail where questions are wanted that nobody is asked.

        Shards live on in half of the worlds: some of their leases may have longer to run, from
        before a clock went back, and some are of partitions that have moved.
        """
        anew = rng.random() < 0.5
        for node in self.nodes:
            if anew or node.service is None:
                node.start()
        helpers = [hire(number, "good", rng) for number in HELPERS]
        for helper in helpers:
            helper.profile = replace(helper.profile, skills=frozenset({SKILL}))
        idle = 0
        while not self._finished():
            stored = sum(self._helped(helper, fenced=not anew) for helper in helpers)
            check()
            idle = 0 if stored else idle + 1
            self.clock.time += LEASE_TTL_S * (idle > 0)
            assert idle <= (0 if anew else IDLE_ROUNDS_MAX), "questions are wanted of nobody"

    def _finished(self) -> bool:
        reports = [stage.refit() for stage in self.stages]
        return all(
            is_finished(found, len(stage.partitions))
            for found, stage in zip(reports, self.stages, strict=True)
        )

    def _helped(self, helper: VirtualWorker, *, fenced: bool) -> int:
        """Return how many answers are stored: all, but for those to shards that are `fenced` off.

        Such a shard learns by the first of them that a partition is not its own any more.
        """
        worker_id, offers = helper.profile.worker_id, self.router.claim(helper.profile, 50)
        self.watch.offered(worker_id, offers)
        sent = honest(offers, self.labels)
        for submission in sent:
            self.watch.sent(worker_id, submission)
        replies = self.router.answer(helper.profile, sent)
        for submission, outcome in zip(sent, replies, strict=True):
            may_be = fenced and isinstance(outcome.error, LeaseExpired)
            assert outcome.error is None or may_be, outcome.error
            self.watch.heard(worker_id, submission, outcome, self.clock.time)
        return sum(outcome.error is None for outcome in replies)
