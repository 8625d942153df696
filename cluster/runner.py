"""Drives one job through its stages; every stage may be killed, or paused, and run again.

A stage does the work of one state and says which state comes next. All it has done is in the
stores, so a runner that starts anew on another machine goes on from the job's stored state.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from cluster.clock import Clock
from cluster.domain.ids import JobId
from cluster.domain.jobs import Certificate, Job, JobEvent, JobState, Progress
from cluster.errors import BadInput, Fault, JobCancelled, JobPaused, StaleRevision
from cluster.jobs import advance, with_wishes_of
from cluster.ports import EventLog, JobStore
from cluster.telemetry.catalogue import STAGE_SECONDS
from cluster.telemetry.port import Telemetry


class JobDesk:
    """A stage's view of its job: reads it, reports on it, hears what its owner wishes."""

    def __init__(self, job: Job, jobs: JobStore, events: EventLog, clock: Clock) -> None:
        self._job, self._jobs, self._events, self._clock = job, jobs, events, clock

    @property
    def job(self) -> Job:
        """The job as last saved or looked at."""
        return self._job

    @property
    def clock(self) -> Clock:
        """The time source of this run."""
        return self._clock

    def check(self) -> None:
        """Look at the job anew; raises JobCancelled and JobPaused where its owner wishes that."""
        stored = self._jobs.load(self._job.job_id)
        if self._is_last_seen(stored):
            self._job = stored
        if stored.cancel_requested:
            raise JobCancelled(stored.job_id)
        if stored.paused:
            raise JobPaused(stored.job_id)

    def report(self, progress: Progress, certificate: Certificate | None = None) -> None:
        """Save how far the job has come."""
        self._save(
            replace(
                self._job,
                progress=progress,
                certificate=certificate or self._job.certificate,
                updated_at=self._clock.now(),
            )
        )

    def record(self, kind: str, message: str, **figures: float) -> None:
        """Add an event to the job's history."""
        self._events.append([self._event(kind, message, figures)])

    def move(self, state: JobState, failure: str | None = None) -> None:
        """Save the job's next state, and that it has come to it, in one."""
        event = self._event("state", failure or f"the job is {state}", {})
        self._save(advance(self._job, state, self._clock.now(), failure), [event])

    def _event(self, kind: str, message: str, figures: Mapping[str, float]) -> JobEvent:
        return JobEvent(
            job_id=self._job.job_id,
            kind=kind,
            at=self._clock.now(),
            message=message,
            figures=figures,
        )

    def _save(self, job: Job, events: Sequence[JobEvent] = ()) -> None:
        """Save, taking over what its owner wished meanwhile: the only writes others make.

        Anything else that changed was changed by another runner of the same job: this one has been
        replaced, and StaleRevision ends it.
        """
        while True:
            try:
                self._job = self._jobs.save(job, events)
            except StaleRevision:
                stored = self._jobs.load(job.job_id)
                if not self._is_last_seen(stored):
                    raise
                job = with_wishes_of(stored, job)
            else:
                return

    def _is_last_seen(self, stored: Job) -> bool:
        seen = with_wishes_of(stored, self._job)
        return stored == replace(seen, updated_at=stored.updated_at)


class Stage(Protocol):
    """The work of one job state; safe to run again from any point."""

    def run(self, desk: JobDesk) -> JobState:
        """Do the work and return the next state; raises what `desk.check` raises."""
        ...


class JobRunner:
    """Runs jobs, each from its stored state to its end.

    `dismiss` releases a job's crowd, and is called before the job is seen as cancelled or failed;
    `hold` keeps the crowd from being asked anything new, and is called for a paused job.
    """

    def __init__(
        self,
        jobs: JobStore,
        events: EventLog,
        stages: Mapping[JobState, Stage],
        clock: Clock,
        dismiss: Callable[[JobId], None],
        hold: Callable[[JobId], None],
        telemetry: Telemetry,
    ) -> None:
        self._jobs, self._events, self._stages, self._clock = jobs, events, stages, clock
        self._dismiss, self._hold, self._telemetry = dismiss, hold, telemetry

    def run(self, job_id: JobId) -> Job:
        """Drive the job until it has ended, or is paused and held, and return it.

        Bad input and faults end the job as failed with a message for its owner. Unavailable
        errors pass through: the caller runs the job again later. Raises JobNotFound.
        """
        desk = JobDesk(self._jobs.load(job_id), self._jobs, self._events, self._clock)
        try:
            while not desk.job.state.is_terminal:
                self._step(desk)
        except JobPaused:
            self._hold(job_id)
        return desk.job

    def _step(self, desk: JobDesk) -> None:
        try:
            desk.check()
            if desk.job.state is JobState.QUEUED:
                desk.move(JobState.INGESTING)
                return
            desk.move(self._timed(desk))
        except JobCancelled:
            self._end(desk, JobState.CANCELLED)
        except JobPaused:
            raise
        except (BadInput, Fault) as error:
            self._end(desk, JobState.FAILED, failure=str(error))

    def _timed(self, desk: JobDesk) -> JobState:
        """Run the stage of the job's state and return the next state."""
        state, started_at = desk.job.state, desk.clock.now()
        following = self._stages[state].run(desk)
        seconds = max(desk.clock.now() - started_at, 0.0)
        self._telemetry.observe(STAGE_SECONDS, seconds, state=state.value)
        return following

    def _end(self, desk: JobDesk, state: JobState, failure: str | None = None) -> None:
        """End a job before its time; whatever it was at, its crowd may still be answering."""
        self._dismiss(desk.job.job_id)
        desk.move(state, failure)
