"""How long work that costs much is rested from, and how the asking stage rests from its fits."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from allocation.spacing import FIT_RESTS, REST_MAX_S, Spacing
from allocation.stage import AskStage
from cluster.domain.ids import JobId, Position, WorkerId
from cluster.domain.jobs import Goal, JobState
from cluster.domain.work import AnswerColumns, Partition, WorkerTotals
from cluster.settings import AskingSettings
from tests.unit.allocation.crowds import CrowdWorld, RestartableShard, answers_of
from tests.unit.allocation.worlds import JOB, job

CROWD = (0.95, 0.9, 0.9, 0.85, 0.85, 0.8, 0.9, 0.9)
SLOW_S = 10.0


class SlowLog:
    """An answer log that takes a while to read from."""

    def __init__(self, world: CrowdWorld) -> None:
        self._world, self._log = world, world.stores.answers
        self.read_at: list[float] = []

    def append(self, fence: Partition, answers: AnswerColumns) -> int:
        return self._log.append(fence, answers)

    def read(self, job_id: JobId, after_seq: int, limit: int) -> AnswerColumns:
        if limit > 1:  # Whoever reads one asks whether there are any.
            self.read_at.append(self._world.clock.now())
            self._world.clock.time += SLOW_S
        return self._log.read(job_id, after_seq, limit)

    def find(
        self, job_id: JobId, slots: Sequence[tuple[Position, WorkerId]]
    ) -> tuple[int | None, ...]:
        return self._log.find(job_id, slots)

    def totals(self, worker_id: WorkerId) -> WorkerTotals:
        return self._log.totals(worker_id)


def test_a_rest_lasts_so_many_times_as_long_as_the_work() -> None:
    rest = Spacing(4.0)
    assert not rest.is_on(100.0)

    rest.begin(100.0, 110.0)

    assert [rest.is_on(now) for now in (110.0, 149.0, 150.0)] == [True, True, False]


def test_work_that_takes_no_time_is_rested_from_no_longer_than_the_least() -> None:
    at_once, least = Spacing(4.0), Spacing(4.0, least_s=5.0)

    at_once.begin(100.0, 100.0)
    least.begin(100.0, 100.0)

    assert not at_once.is_on(100.0)
    assert [least.is_on(now) for now in (100.0, 104.0, 105.0)] == [True, True, False]


def test_no_clock_that_is_set_makes_a_rest_endless() -> None:
    # Given a clock that was set a day ahead while the work was done, or a day back after it
    ahead, back = Spacing(4.0), Spacing(4.0)
    ahead.begin(0.0, 86_400.0)
    back.begin(86_400.0, 86_410.0)

    # Then the rest ends after a while, or at once
    assert not ahead.is_on(86_400.0 + REST_MAX_S)
    assert not back.is_on(10.0)


def test_a_fit_that_takes_long_is_rested_from_while_there_is_enough_to_ask() -> None:
    # Given a job whose answers take ten seconds to read and fit, and a shard that restarts
    spec = replace(job().spec, goal=Goal(accuracy=0.85))
    given = CrowdWorld(spec, 2_400, CROWD, np.random.default_rng(11))
    given.predict(accuracy=0.75)
    log = SlowLog(given)
    shards = [RestartableShard(given, number) for number in range(2)]
    stage_stores = replace(given.stores, answers=log)
    asked_at: list[float] = []
    reads_while_asked = 0

    def wait(seconds: float) -> None:
        nonlocal reads_while_asked
        before = given.claimed
        given.wait(seconds)
        if given.claimed > before:
            asked_at.append(given.clock.now())
        wanted = sum(found.wanted for shard in given.shards for found in shard.reports(JOB))
        reads_while_asked = len(log.read_at) if wanted else reads_while_asked
        if len(asked_at) == 3:
            given.shards[0] = given.new_shard(0)

    # When the stage runs
    stage = AskStage(stage_stores, AskingSettings(delivery_rows_min=1), 0, shards, wait)
    state = stage.run(given.desk())

    # Then it fits rarely while somebody is asked, who is asked all the time
    fits = log.read_at[:reads_while_asked]
    assert len(fits) > 1
    assert np.diff(fits).min() >= (1 + FIT_RESTS) * SLOW_S
    assert len(asked_at) > 5 * len(fits)
    assert "shard.restarted" in {event.kind for event in given.stores.events.read(JOB, 0, 1_000)}

    # And what it ends with knows every answer
    assert state is JobState.EXPORTING
    assert given.desk().job.progress.answers == len(answers_of(given)) == given.acknowledged
    assert len(given.delivered()) == given.items
    assert given.accuracy() >= 0.85
