"""Deadlines between jobs: who is behind is served faster, and nobody is starved for it."""

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.fairness import FairShares
from allocation.urgency import URGENCY_MAX, Urgency, answers_left
from cluster.domain.jobs import Amendment, Budget, Job, JobState, Progress
from cluster.jobs import amend
from tests.unit.allocation.crowds import CrowdWorld
from tests.unit.allocation.worlds import JOB, job

CROWD_PER_S = 10


def standing(answers: int, left: int, *, deadline_s: float | None = 1_000.0) -> Job:
    """Return a job that has so many answers and needs so many more, one an item."""
    given_job = job()
    spec = replace(given_job.spec, budget=Budget(deadline_s=deadline_s))
    progress = Progress(items=10_000, answers=answers, asked=answers, open_questions=left)
    return replace(given_job, spec=spec, progress=progress)


def looked(urgency: Urgency, *looks: tuple[float, int, int]) -> list[float]:
    """Return the factor after each look: its time, the answers by then, and those left."""
    found = []
    for now, answers, left in looks:
        urgency.look(standing(answers, left), now)
        found.append(urgency.factor)
    return found


def test_a_job_that_is_behind_is_raised_and_one_that_has_caught_up_goes_back() -> None:
    # A hundred seconds, of which each should bring ten answers: it gets two, and then fifty
    behind = looked(Urgency(), (0.0, 0, 10_000), (100.0, 200, 9_800), (200.0, 400, 9_600))
    after = looked(Urgency(), (0.0, 0, 9_000), (100.0, 50, 8_950), (200.0, 5_050, 3_950))

    assert 1.0 == behind[0] < behind[1] < behind[2] <= URGENCY_MAX
    assert after[2] == 1.0 < after[1]


def test_who_is_served_as_fast_as_needed_or_has_no_deadline_keeps_its_weight() -> None:
    on_time = looked(
        Urgency(), *((at, 10 * int(at), 10_000 - 10 * int(at)) for at in (0, 300, 900))
    )
    free = Urgency()

    changed = [free.look(standing(0, 10_000, deadline_s=None), at) for at in (0.0, 300.0, 900.0)]

    assert on_time == pytest.approx([1.0, 1.0, 1.0])
    assert free.factor == 1.0
    assert not any(changed)


def test_looks_that_come_too_early_change_nothing() -> None:
    urgency = Urgency()

    assert looked(urgency, (0.0, 0, 100), (50.0, 0, 100)) == [1.0, 1.0]
    assert looked(urgency, (130.0, 0, 100)) > [1.0]


def test_a_deadline_that_is_taken_off_takes_the_urgency_along() -> None:
    urgency = Urgency()
    looked(urgency, (0.0, 0, 10_000), (100.0, 10, 9_990))

    assert urgency.look(standing(10, 9_990, deadline_s=None), 101.0)
    assert urgency.factor == 1.0


def test_an_open_question_counts_for_as_many_answers_as_items_took() -> None:
    progress = Progress(items=100, answers=70, audit_answers=10, asked=20, open_questions=30)

    assert answers_left(replace(job(), progress=progress)) == pytest.approx(90.0)


@given(
    st.lists(st.tuples(st.floats(0.0, 2_000.0), st.integers(0, 500), st.integers(0, 10**6))),
    st.one_of(st.none(), st.floats(0.0, 5_000.0)),
)
def test_the_factor_never_leaves_its_bounds(
    looks: list[tuple[float, int, int]], deadline_s: float | None
) -> None:
    urgency, answers = Urgency(), 0
    for now, more, left in looks:
        before, answers = urgency.factor, answers + more

        changed = urgency.look(standing(answers, left, deadline_s=deadline_s), now)

        assert 1.0 <= urgency.factor <= URGENCY_MAX
        assert changed == (urgency.factor != before)


@given(
    st.lists(
        st.tuples(st.floats(1.0, URGENCY_MAX), st.floats(1.0, URGENCY_MAX)), min_size=1, max_size=9
    ),
    st.tuples(*[st.floats(0.1, 10.0)] * 3),
    st.integers(1, 7),
)
def test_whatever_the_urgency_of_others_a_job_keeps_what_it_is_guaranteed(
    urgencies: list[tuple[float, float]], weights: tuple[float, float, float], batch: int
) -> None:
    # Given a job without a deadline beside two whose urgency changes as it likes
    shares: FairShares[int] = FairShares()
    granted: Counter[int] = Counter()
    plain, *others = weights

    for turn in range(300):
        pressed = urgencies[turn % len(urgencies)]
        weight = [plain, *(each * factor for each, factor in zip(others, pressed, strict=True))]
        chosen = shares.next_of(range(3))
        shares.charge(chosen, batch, weight[chosen])
        granted[chosen] += batch

        # Then at any time it has had w / (w + 4 W) of all, but for the batches of the bound
        most = URGENCY_MAX * sum(others)
        late = sum(URGENCY_MAX * each * (batch / plain + batch / each) for each in others)
        assert granted[0] >= (sum(granted.values()) - late) * plain / (plain + most) - 1e-6


@dataclass
class Contender:
    """A job that takes its turn at a crowd of ten answers a second."""

    left: int
    deadline_s: float | None = None
    urgency: Urgency = field(default_factory=Urgency)
    answers: int = 0
    done_at: float | None = None

    def look(self, now: float) -> None:
        self.urgency.look(standing(self.answers, self.left, deadline_s=self.deadline_s), now)


def contested(jobs: dict[str, Contender], *, until_s: int, pressing: bool = True) -> None:
    """Let jobs of one weight share a crowd; each looks at its deadline every second."""
    shares: FairShares[str] = FairShares()
    for second in range(until_s):
        for _ in range(CROWD_PER_S):
            waiting = [name for name, found in jobs.items() if found.left]
            if not waiting:
                return
            chosen = jobs[name := shares.next_of(waiting)]
            shares.charge(name, 1, chosen.urgency.factor)
            chosen.left, chosen.answers = chosen.left - 1, chosen.answers + 1
            if not chosen.left:
                chosen.done_at = second + 1.0
        for found in jobs.values() if pressing else ():
            found.look(second + 1.0)


@pytest.mark.parametrize("pressing", [True, False])
def test_a_job_that_fair_shares_would_make_late_is_in_time(pressing: bool) -> None:
    # Given one that needs six answers a second of ten, and two that are in no hurry
    jobs = {
        "urgent": Contender(3_000, deadline_s=500.0),
        "one": Contender(10_000),
        "other": Contender(10_000),
    }

    # When they share the crowd up to its deadline
    contested(jobs, until_s=500, pressing=pressing)

    # Then it is done just in time, and only then, where deadlines count, and the others had theirs
    done_at = jobs["urgent"].done_at
    assert (done_at is not None) == pressing
    if done_at is not None:
        assert done_at > 400.0
    for name in ("one", "other"):
        assert jobs[name].answers >= 5_000 / (1 + URGENCY_MAX + 1) - 10


def test_a_hopeless_deadline_starves_nobody() -> None:
    # Given a job that nobody could finish in time, beside one without a deadline
    jobs = {"hopeless": Contender(10**6, deadline_s=1_000.0), "plain": Contender(10**6)}

    contested(jobs, until_s=1_000)

    total = CROWD_PER_S * 1_000
    assert jobs["plain"].answers == pytest.approx(total / (1 + URGENCY_MAX), rel=0.05)
    assert jobs["plain"].answers >= total / (1 + URGENCY_MAX) - 10


def test_a_stage_tells_its_shards_of_a_deadline_that_nears() -> None:
    # Given a job of two hundred items with a minute left, and a crowd of one who is slow
    given_world = CrowdWorld(job().spec, 200, (0.9,), np.random.default_rng(3))
    stored = given_world.stores.jobs.load(JOB)
    soon = Amendment(weight=2.0, budget=Budget(deadline_s=given_world.clock.now() + 60.0))
    given_world.stores.jobs.save(amend(stored, soon, given_world.clock.now()))
    told: list[float] = []
    stage = given_world.stage()

    def slow(seconds: float) -> None:
        given_world.clock.time += seconds
        who, shard = given_world.workers[0], given_world.shards[0]
        given_world.answer(who, 0.9, shard, count=1)
        told.extend(found.terms.weight for found in shard._state.partitions.values())

    stage._wait = slow

    # When its stage runs to the deadline
    assert stage.run(given_world.desk()) is JobState.EXPORTING

    # Then its weight rose from its own to four times that
    assert (min(told), max(told)) == (2.0, 2.0 * URGENCY_MAX)
    assert told == sorted(told)
