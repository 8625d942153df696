"""The job runner over real stores: stages in turn, cancelling, failing, going on after a crash."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from cluster.domain.ids import JobId, UnixSeconds
from cluster.domain.jobs import Job, JobState, Progress
from cluster.errors import EmptySource, JobNotFound, ModelUnusable, StaleRevision, StoreBusy
from cluster.jobs import amend, pause, request_cancel, resume
from cluster.ports import Stores
from cluster.runner import JobDesk, JobRunner
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from cluster.telemetry.memory import MemoryTelemetry
from tests.conformance import samples

Work = Callable[[JobDesk], JobState]


class TickingClock:
    """Moves on by one second whenever it is read."""

    def __init__(self) -> None:
        self._now = 1_700_000_100.0

    def now(self) -> UnixSeconds:
        self._now += 1.0
        return self._now


@dataclass
class Step:
    """A stage made of a function."""

    work: Work

    def run(self, desk: JobDesk) -> JobState:
        return self.work(desk)


def _nobody(_: JobId) -> None:
    """Dismiss a crowd that never came."""


def _straight_to(state: JobState) -> Work:
    return lambda _: state


@dataclass
class World:
    """One job, and stages that note when they ran and go straight on unless told otherwise."""

    stores: Stores = field(default_factory=lambda: memory_stores(MemoryObjects()))
    ran: list[str] = field(default_factory=list)
    dismissed: list[tuple[JobId, JobState]] = field(default_factory=list)
    held: list[JobState] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stores.jobs.create(samples.job(), None)

    @property
    def job(self) -> Job:
        return self.stores.jobs.load(samples.JOB)

    def save(self, **changes: object) -> None:
        self.stores.jobs.save(replace(self.job, **changes))  # type: ignore[arg-type]

    def cancel(self) -> None:
        self.stores.jobs.save(request_cancel(self.job, now=5.0))

    def run(self, works: Mapping[JobState, Work] | None = None) -> Job:
        straight = {
            JobState.INGESTING: JobState.PRELABELLING,
            JobState.PRELABELLING: JobState.ASKING,
            JobState.ASKING: JobState.EXPORTING,
            JobState.LEARNING: JobState.ASKING,
            JobState.EXPORTING: JobState.COMPLETED,
        }

        def noted(state: JobState, work: Work) -> Step:
            def run(desk: JobDesk) -> JobState:
                self.ran.append(state)
                return work(desk)

            return Step(run)

        usual = {state: _straight_to(following) for state, following in straight.items()}
        stages = {state: noted(state, work) for state, work in {**usual, **(works or {})}.items()}
        runner = JobRunner(
            self.stores.jobs,
            self.stores.events,
            stages,
            TickingClock(),
            self._dismiss,
            self._hold,
            MemoryTelemetry(),
        )
        return runner.run(samples.JOB)

    def _dismiss(self, job_id: JobId) -> None:
        self.dismissed.append((job_id, self.job.state))

    def _hold(self, job_id: JobId) -> None:
        assert job_id == samples.JOB
        self.held.append(self.job.state)


def test_a_job_goes_through_its_stages_to_the_end() -> None:
    world = World()

    job = world.run()

    assert job == world.job
    assert job.state == JobState.COMPLETED
    assert world.dismissed == []
    assert world.ran == ["ingesting", "prelabelling", "asking", "exporting"]
    assert [event.message for event in world.stores.events.read(samples.JOB, 0, 99)] == [
        "the job is ingesting",
        "the job is prelabelling",
        "the job is asking",
        "the job is exporting",
        "the job is completed",
    ]


def test_a_stage_may_send_the_job_back() -> None:
    world = World()
    replies = iter([JobState.LEARNING, JobState.LEARNING, JobState.EXPORTING])

    world.run(
        {
            JobState.ASKING: lambda _: next(replies),
            JobState.LEARNING: lambda _: JobState.PRELABELLING,
        }
    )

    again = ["learning", "prelabelling", "asking"]
    assert world.ran == ["ingesting", "prelabelling", "asking", *again, *again, "exporting"]


def test_a_runner_goes_on_from_the_stored_state() -> None:
    world = World()
    world.save(state=JobState.ASKING)

    assert world.run().state == JobState.COMPLETED

    assert world.ran == ["asking", "exporting"]


def test_a_job_that_has_ended_is_left_alone() -> None:
    world = World()
    world.save(state=JobState.FAILED, failure="no rows")
    before = world.job

    assert world.run() == before

    assert world.ran == []


def test_an_unknown_job_is_not_found() -> None:
    stores = memory_stores(MemoryObjects())

    with pytest.raises(JobNotFound):
        JobRunner(
            stores.jobs, stores.events, {}, TickingClock(), _nobody, _nobody, MemoryTelemetry()
        ).run(JobId("nobody's"))


def test_a_job_cancelled_before_it_began_does_nothing() -> None:
    world = World()
    world.cancel()

    assert world.run().state == JobState.CANCELLED

    assert world.ran == []


def test_a_job_is_cancelled_in_the_middle_of_a_stage() -> None:
    # Given a stage that is told to stop between two pieces of work
    world = World()
    pieces: list[int] = []

    def prelabel(desk: JobDesk) -> JobState:
        for piece in range(10):
            desk.check()
            pieces.append(piece)
            if piece == 2:
                world.cancel()
        return JobState.ASKING

    # When the job is run
    job = world.run({JobState.PRELABELLING: prelabel})

    # Then the stage ends at its next check, and so does the job
    assert job.state == JobState.CANCELLED
    assert pieces == [0, 1, 2]
    assert world.job == job
    # And its crowd was dismissed before anybody could see that
    assert world.dismissed == [(samples.JOB, JobState.PRELABELLING)]


def test_a_cancel_request_that_crosses_a_report_is_not_lost() -> None:
    # Given a stage that reports without having seen the request
    world = World()

    def ingest(desk: JobDesk) -> JobState:
        world.cancel()
        desk.report(Progress(items=7))
        return JobState.PRELABELLING

    job = world.run({JobState.INGESTING: ingest})

    # Then the report is stored, and the job still ends
    assert job.state == JobState.CANCELLED
    assert job.progress == Progress(items=7)
    assert world.ran == ["ingesting"]


def test_a_cancel_request_during_the_last_stage_loses_to_completion() -> None:
    world = World()

    def export(_: JobDesk) -> JobState:
        world.cancel()
        return JobState.COMPLETED

    assert world.run({JobState.EXPORTING: export}).state == JobState.COMPLETED


@pytest.mark.parametrize(
    "error", [EmptySource("s3://bucket/pets.csv"), ModelUnusable("minilm", "weights are NaN")]
)
def test_bad_input_and_faults_end_the_job_with_a_reason(error: Exception) -> None:
    world = World()

    def fail(_: JobDesk) -> JobState:
        raise error

    job = world.run({JobState.PRELABELLING: fail})

    assert (job.state, job.failure) == (JobState.FAILED, str(error))
    assert world.dismissed == [(samples.JOB, JobState.PRELABELLING)]
    assert world.stores.events.read(samples.JOB, 0, 99)[-1].message == str(error)


def test_what_is_unavailable_passes_and_the_job_goes_on_later() -> None:
    # Given a stage that meets a busy database once
    world = World()
    hindrances = [StoreBusy("append answers")]

    def ask(_: JobDesk) -> JobState:
        if hindrances:
            raise hindrances.pop()
        return JobState.EXPORTING

    # When the job is run until it ends
    with pytest.raises(StoreBusy):
        world.run({JobState.ASKING: ask})
    state_between = world.job.state
    job = world.run({JobState.ASKING: ask})

    # Then only that stage was run again
    assert state_between == JobState.ASKING
    assert job.state == JobState.COMPLETED
    assert world.ran == ["ingesting", "prelabelling", "asking", "asking", "exporting"]


def test_a_mistake_in_a_stage_is_not_taken_for_the_jobs_failure() -> None:
    world = World()

    def fail(_: JobDesk) -> JobState:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world.run({JobState.INGESTING: fail})

    assert world.job.state == JobState.INGESTING


def test_a_step_the_life_does_not_have_is_a_mistake() -> None:
    world = World()

    with pytest.raises(ValueError, match="from ingesting to exporting"):
        world.run({JobState.INGESTING: lambda _: JobState.EXPORTING})


def test_reports_keep_the_certificate_until_there_is_a_newer_one() -> None:
    world = World()

    def ask(desk: JobDesk) -> JobState:
        desk.report(Progress(answers=1), samples.CERTIFICATE)
        desk.report(Progress(answers=2))
        return JobState.EXPORTING

    job = world.run({JobState.ASKING: ask})

    assert (job.progress.answers, job.certificate) == (2, samples.CERTIFICATE)


def test_records_carry_their_figures() -> None:
    world = World()

    def ingest(desk: JobDesk) -> JobState:
        desk.record("ingested", "7 items", items=7, seconds=0.5)
        return JobState.PRELABELLING

    world.run({JobState.INGESTING: ingest})

    event = world.stores.events.read(samples.JOB, 1, 1)[0]
    assert (event.kind, event.figures) == ("ingested", {"items": 7, "seconds": 0.5})


def test_a_runner_that_was_replaced_cannot_bring_an_ended_job_back() -> None:
    # Given a runner that was cut off while another one brought the job to its end
    world = World()

    def ingest(desk: JobDesk) -> JobState:
        world.save(state=JobState.COMPLETED)
        desk.report(Progress(items=7))
        return JobState.PRELABELLING

    # When it comes back and saves
    with pytest.raises(StaleRevision):
        world.run({JobState.INGESTING: ingest})

    # Then the end stands
    assert world.job.state == JobState.COMPLETED


def test_a_paused_job_holds_its_crowd_and_goes_on_where_it_was_when_it_is_resumed() -> None:
    # Given a stage in the middle of which the job is paused
    world = World()

    def prelabel(desk: JobDesk) -> JobState:
        desk.check()
        world.stores.jobs.save(pause(world.job, now=5.0))
        desk.check()
        return JobState.ASKING

    # When the job is run, and run again by a supervisor that has been started anew
    paused = world.run({JobState.PRELABELLING: prelabel})
    again = world.run()

    # Then each run held the crowd and ended, and the job is where it was
    assert (paused.state, again.state) == (JobState.PRELABELLING, JobState.PRELABELLING)
    assert world.held == [JobState.PRELABELLING, JobState.PRELABELLING]
    assert (world.dismissed, world.ran) == ([], ["ingesting", "prelabelling"])

    # And once resumed it goes on from there
    world.stores.jobs.save(resume(world.job, now=6.0))
    assert world.run().state == JobState.COMPLETED
    assert world.ran[2:] == ["prelabelling", "asking", "exporting"]


def test_a_paused_job_can_be_cancelled() -> None:
    world = World()
    world.stores.jobs.save(pause(world.job, now=5.0))
    world.run()
    world.cancel()

    assert world.run().state == JobState.CANCELLED


def test_a_pause_or_other_terms_that_cross_a_report_are_not_lost() -> None:
    # Given an owner who pauses and amends the job while a stage works
    world = World()
    terms = samples.amendment()

    def ingest(desk: JobDesk) -> JobState:
        world.stores.jobs.save(amend(pause(world.job, now=5.0), terms, now=5.0))
        desk.report(Progress(items=7))
        return JobState.PRELABELLING

    job = world.run({JobState.INGESTING: ingest})

    # Then the report is stored and both wishes are
    assert (job.paused, job.amendment, job.progress) == (True, terms, Progress(items=7))
    assert world.ran == ["ingesting"]


def test_a_stage_hears_of_other_terms_at_its_next_check() -> None:
    world = World()
    heard: list[float] = []

    def ask(desk: JobDesk) -> JobState:
        world.stores.jobs.save(amend(world.job, samples.amendment(), now=5.0))
        desk.check()
        heard.append(desk.job.agreed.weight)
        return JobState.EXPORTING

    world.run({JobState.ASKING: ask})

    assert heard == [samples.amendment().weight]
