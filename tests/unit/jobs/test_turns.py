"""Who gets a runner: tenants evenly, the heavy sooner, the light at last, and nobody for ever."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.domain.ids import JobId, TenantId
from cluster.domain.jobs import Amendment, Budget, Job, JobState
from serve_apps.jobs.turns import Turns, next_in_turn
from tests.conformance import samples

NOW = 1_000.0
SPELL_S = 300.0
LOOK_S = 60.0


def waiting(number: int, *, since_s: float, weight: float = 1.0, tenant: str = "acme") -> Job:
    terms = Amendment(weight=weight, budget=Budget())
    job = samples.job(number, TenantId(tenant))
    return replace(job, created_at=NOW - since_s, amendment=terms)


def in_turn(
    *jobs: Job, running: str = "", held: str = "", gave_way: Mapping[str, float] | None = None
) -> list[str]:
    busy = {JobId(name) for name in running.split()}, {JobId(name) for name in held.split()}
    back = {JobId(name): at for name, at in (gave_way or {}).items()}
    return list(next_in_turn(jobs, NOW, running=busy[0], held=busy[1], gave_way=back))


def in_state(state: JobState, *numbers: int, tenant: str) -> list[Job]:
    found = [waiting(number, since_s=1_000.0 - number, tenant=tenant) for number in numbers]
    return [replace(job, state=state) for job in found]


class Supervised:
    """Turns, followed look by look; jobs do nothing but hold their runner."""

    def __init__(self, runners: int) -> None:
        self.turns, self.runners = Turns(runners, SPELL_S), runners
        self.running: dict[str, float] = {}
        self.spells: list[tuple[str, float]] = []
        self.began_at: dict[str, list[float]] = {}
        self.now = NOW

    def look(self, jobs: list[Job]) -> None:
        moves = self.turns.moves(jobs, self.now)
        for job_id in moves.stop:
            self.spells.append((job_id, self.now - self.running.pop(job_id)))
        for job_id in moves.start:
            assert job_id not in self.running
            self.running[job_id] = self.now
            self.began_at.setdefault(job_id, []).append(self.now)
        assert len(self.running) <= self.runners
        self.now += LOOK_S

    def end(self, job_id: str) -> None:
        del self.running[job_id]
        self.turns.end(JobId(job_id), held=False)

    def run(self, jobs: list[Job], seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.look(jobs)


def test_of_equals_the_oldest_goes_first() -> None:
    jobs = (waiting(1, since_s=5.0), waiting(2, since_s=9.0), waiting(3, since_s=7.0))

    assert in_turn(*jobs) == ["job-0002", "job-0003", "job-0001"]


def test_who_weighs_twice_waits_half_as_long() -> None:
    light, heavy = waiting(1, since_s=10.0), waiting(2, since_s=4.0, weight=2.0)

    assert in_turn(light, heavy) == ["job-0001", "job-0002"]
    assert in_turn(light, replace(heavy, created_at=NOW - 6.0)) == ["job-0002", "job-0001"]


def test_a_job_that_runs_is_not_run_twice() -> None:
    cancelled = replace(waiting(1, since_s=5.0), cancel_requested=True)

    assert in_turn(cancelled, waiting(2, since_s=1.0), running="job-0001") == ["job-0002"]


def test_a_paused_job_is_run_once_to_hold_its_crowd_before_all_others() -> None:
    paused = replace(waiting(1, since_s=0.0), paused=True)
    busy = waiting(2, since_s=50.0, weight=9.0)

    assert in_turn(busy, paused) == ["job-0001", "job-0002"]
    assert in_turn(busy, paused, held="job-0001") == ["job-0002"]


def test_a_held_job_is_run_to_be_cancelled() -> None:
    cancelled = replace(waiting(1, since_s=0.0), paused=True, cancel_requested=True)

    assert in_turn(cancelled, held="job-0001") == ["job-0001"]


def test_the_tenant_with_the_fewest_runners_goes_first_whatever_the_others_weigh() -> None:
    # Given a tenant with two jobs that run, and one with none
    mine = [waiting(number, since_s=900.0, weight=1_000.0) for number in (1, 2, 3, 4)]
    other = [waiting(number, since_s=1.0, weight=0.001, tenant="late") for number in (5, 6, 7)]

    # Then the other has its turns until it has as many
    turns = in_turn(*mine, *other, running="job-0001 job-0002")

    assert turns == ["job-0005", "job-0006", "job-0003", "job-0007", "job-0004"]


def test_who_gave_way_waits_anew() -> None:
    old, young = waiting(1, since_s=900.0), waiting(2, since_s=60.0)

    assert in_turn(old, young) == ["job-0001", "job-0002"]
    assert in_turn(old, young, gave_way={"job-0001": NOW - 5.0}) == ["job-0002", "job-0001"]


def test_a_job_gets_a_runner_though_another_tenant_asks_with_all_of_them() -> None:
    # Given a tenant whose jobs have asked for long, with nobody there to answer
    greedy = in_state(JobState.ASKING, *range(1, 6), tenant="greedy")
    world = Supervised(runners=3)
    world.run(greedy, 10 * SPELL_S)

    # When another submits a job that needs no crowd
    batch = in_state(JobState.QUEUED, 9, tenant="small")
    world.look([*greedy, *batch])

    # Then it runs at once, and keeps its runner until it has ended
    assert "job-0009" in world.running
    world.run([*greedy, *batch], 10 * SPELL_S)
    assert world.began_at["job-0009"] == [NOW + 10 * SPELL_S]
    world.end("job-0009")
    world.run(greedy, LOOK_S)
    assert len(world.running) == 3


def test_only_who_asks_gives_way_and_only_after_a_spell() -> None:
    # Given one that pre-labels and one that has just begun to ask
    busy = in_state(JobState.PRELABELLING, 1, tenant="greedy")
    asking = in_state(JobState.ASKING, 2, tenant="greedy")
    late = in_state(JobState.QUEUED, 3, tenant="small")
    world = Supervised(runners=2)
    world.look([*busy, *asking])

    # When another waits
    world.run([*busy, *asking, *late], SPELL_S)

    # Then it waits for the spell's end, and has the runner of the one that asks
    assert set(world.running) == {"job-0001", "job-0002"}
    world.look([*busy, *asking, *late])
    assert set(world.running) == {"job-0001", "job-0003"}


def test_a_spell_begins_when_a_job_begins_to_ask_however_long_it_had_its_runner() -> None:
    # Given a job that was pre-labelled for long while another waited
    late = in_state(JobState.QUEUED, 2, tenant="small")
    world = Supervised(runners=1)
    world.run([*in_state(JobState.PRELABELLING, 1, tenant="one"), *late], 5 * SPELL_S)

    # When it has come to ask, then it has its spell
    asking = in_state(JobState.ASKING, 1, tenant="one")
    world.run([*asking, *late], SPELL_S)
    assert set(world.running) == {"job-0001"}
    world.look([*asking, *late])
    assert set(world.running) == {"job-0002"}


def test_nobody_gives_way_where_nobody_waits_or_nothing_would_be_fairer() -> None:
    # Given two tenants with a runner each, of which one wants more
    one = in_state(JobState.INGESTING, 1, 2, tenant="one")
    other = in_state(JobState.ASKING, 3, tenant="other")
    world = Supervised(runners=2)
    world.look([one[0], *other])

    # Then the other keeps its own
    world.run([*one, *other], 10 * SPELL_S)
    assert world.spells == []


def test_a_job_that_is_being_paused_or_cancelled_keeps_its_runner_for_that() -> None:
    (asking,) = in_state(JobState.ASKING, 1, tenant="one")
    late = in_state(JobState.QUEUED, 2, tenant="small")
    world = Supervised(runners=1)
    world.run([asking], 5 * SPELL_S)

    for wished in (replace(asking, paused=True), replace(asking, cancel_requested=True)):
        world.look([wished, *late])
        assert set(world.running) == {"job-0001"}


@settings(max_examples=30)
@given(
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    runners=st.integers(1, 4),
)
def test_of_jobs_that_ask_for_ever_each_has_its_turns_and_tenants_their_share(
    counts: list[int], runners: int
) -> None:
    # Given tenants with some jobs each, all of which ask and none of which ends
    jobs = [
        job
        for tenant, count in enumerate(counts)
        for job in in_state(
            JobState.ASKING, *range(10 * tenant, 10 * tenant + count), tenant=f"t{tenant}"
        )
    ]
    world = Supervised(runners)
    rounds = 2 * len(jobs)

    # When they run for long
    world.run(jobs, rounds * (SPELL_S + len(jobs) * LOOK_S))

    # Then all had turns, again and again, and each of a spell at least
    assert set(world.began_at) == {job.job_id for job in jobs}
    assert all(seconds >= SPELL_S for _, seconds in world.spells)
    if len(jobs) > runners:
        assert all(len(turns) > 1 or job in world.running for job, turns in world.began_at.items())
    else:
        assert world.spells == []
    # And no runner stood idle, nor has a tenant two more than one whose job waits
    assert len(world.running) == min(runners, len(jobs))
    has = {job.tenant_id: 0 for job in jobs}
    for job in jobs:
        has[job.tenant_id] += job.job_id in world.running
    for job in jobs:
        if job.job_id not in world.running:
            assert max(has.values()) <= has[job.tenant_id] + 1
