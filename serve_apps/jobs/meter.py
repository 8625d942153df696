"""What operators are told of jobs: how far they have come, what they cost, which stand still.

All of it is read from jobs as they are stored, so it is true whichever runner did the work, and is
counted once. A meter that starts anew counts from where the jobs are then.
"""

from collections import Counter as Tally
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cluster.domain.ids import JobId, UnixSeconds
from cluster.domain.jobs import Job, JobState, Progress
from cluster.telemetry import catalogue as told
from cluster.telemetry.port import Telemetry

GAUGES_EVERY_S = 5.0
"""How often gauges are set; what is not set for half a minute is exported no more."""

JOBS_TOLD_MAX = 100
"""Running jobs, oldest first, that have gauges of their own."""


@dataclass(slots=True)
class _Seen:
    job: Job
    moved_at: UnixSeconds


class Meter:
    """Tells of all jobs of a deployment, from looks at those that have not ended.

    `load` returns a job as stored; it is called once for each that has ended.
    """

    def __init__(self, telemetry: Telemetry, load: Callable[[JobId], Job]) -> None:
        self._telemetry, self._load = telemetry, load
        self._seen: dict[JobId, _Seen] = {}
        self._started_at: UnixSeconds | None = None
        self._gauges_at: UnixSeconds = 0.0

    def look(self, unfinished: Sequence[Job], now: UnixSeconds, *, running: int) -> None:
        """Count what jobs have done since the last look; `running` have a runner.

        Raises Unavailable where a job that has ended cannot be read; it is at the next look.
        """
        if self._started_at is None:
            self._started_at = now
        for job in unfinished:
            self._follow(job, now)
        present = {job.job_id for job in unfinished}
        for job_id in self._seen.keys() - present:
            self._end(self._load(job_id), now)
        if not 0 <= now - self._gauges_at < GAUGES_EVERY_S:
            self._gauges_at = now
            self._set_totals(unfinished, running)
            for job in [job for job in unfinished if not job.paused][:JOBS_TOLD_MAX]:
                self._set_job(job, now)

    def _follow(self, job: Job, now: UnixSeconds) -> None:
        seen = self._seen.get(job.job_id)
        if seen is None:
            is_new = self._started_at is not None and job.created_at >= self._started_at
            self._count(job, Progress() if is_new else job.progress)
            self._seen[job.job_id] = _Seen(job, now)
        elif seen.job.revision != job.revision:
            self._count(job, seen.job.progress)
            if _has_moved(seen.job, job):
                seen.moved_at = now
            seen.job = job

    def _end(self, job: Job, now: UnixSeconds) -> None:
        self._follow(job, now)
        del self._seen[job.job_id]
        if job.state is JobState.EXPIRED:
            return
        self._telemetry.count(told.JOBS_ENDED, state=job.state.value)
        is_short = (
            job.certificate is not None
            and job.certificate.overall.accuracy_lower < job.spec.goal.accuracy
        )
        if job.state is JobState.COMPLETED and is_short:
            self._telemetry.count(told.JOBS_SHORT)

    def _count(self, job: Job, before: Progress) -> None:
        """Count how far a job has come since `before`; what goes back was told already."""
        count, now = self._telemetry.count, job.progress
        count(told.ITEMS_INGESTED, now.items - before.items)
        count(told.ITEMS_REFUSED, now.rejected - before.rejected, why="rejected")
        count(told.ITEMS_REFUSED, now.duplicates - before.duplicates, why="duplicate")
        count(told.ITEMS_PRELABELLED, now.prelabelled - before.prelabelled)
        count(told.ITEMS_POISONED, now.poisoned - before.poisoned)
        count(told.LABELS_DELIVERED, now.final - before.final)
        audits = now.audit_answers - before.audit_answers
        count(told.ANSWERS_BOUGHT, now.answers - before.answers - audits, purpose="label")
        count(told.ANSWERS_BOUGHT, audits, purpose="audit")
        count(told.SPEND, now.cost - before.cost, tenant=job.tenant_id)
        count(told.TRAININGS, now.trainings - before.trainings)

    def _set_totals(self, unfinished: Sequence[Job], running: int) -> None:
        put = self._telemetry.set
        states = Tally(job.state for job in unfinished)
        for state in JobState:
            if not state.is_terminal:
                put(told.JOBS, states[state], state=state.value)
        paused = sum(job.paused for job in unfinished)
        put(told.JOBS_PAUSED, paused)
        put(told.JOBS_WAITING, max(len(unfinished) - paused - running, 0))
        put(told.RUNNERS, running)
        put(told.PRELABEL_BACKLOG, sum(map(_unlabelled, unfinished)))

    def _set_job(self, job: Job, now: UnixSeconds) -> None:
        put, progress, name = self._telemetry.set, job.progress, job.job_id
        put(told.JOB_GOAL, job.spec.goal.accuracy, job_id=name)
        put(told.JOB_ITEMS, progress.items, job_id=name, part="accepted")
        put(told.JOB_ITEMS, progress.final, job_id=name, part="delivered")
        put(told.JOB_OPEN, progress.open_questions, job_id=name)
        idle_s = max(now - self._seen[job.job_id].moved_at, 0.0)
        put(told.JOB_IDLE, idle_s, job_id=name, state=job.state.value)
        if progress.expected_accuracy is not None:
            put(told.JOB_EXPECTED, progress.expected_accuracy, job_id=name)
        if progress.reachable_accuracy is not None:
            put(told.JOB_REACHABLE, progress.reachable_accuracy, job_id=name)
        if job.certificate is not None:
            put(told.JOB_CERTIFIED, job.certificate.overall.accuracy_lower, job_id=name)
        if progress.final:
            put(told.THOUSAND_COST, 1_000 * progress.cost / progress.final, job_id=name)


def _unlabelled(job: Job) -> int:
    if job.state is not JobState.PRELABELLING:
        return 0
    return max(job.progress.items - job.progress.prelabelled, 0)


def _has_moved(before: Job, after: Job) -> bool:
    """Whether a job has come further, rather than only been saved again."""
    return (before.state, before.paused, _work(before)) != (after.state, after.paused, _work(after))


def _work(job: Job) -> tuple[int, ...]:
    done = job.progress
    return (done.items, done.rejected, done.prelabelled, done.answers, done.final, done.trainings)
