"""The life of a job as a pure state machine.

    queued → ingesting → prelabelling → asking ⇄ learning
                              ↑            │         │
                              ├────────────┼─────────┘  (a promoted model pre-labels flips again)
                              └────────────┤            (its version was rolled back)
                                           └→ exporting → completed

Every state that is not terminal may also end as cancelled or failed, and whatever has ended expires
at last. Beside the state stand its
owner's wishes, which any moment may bring: to cancel it, to pause it, to run it on other terms.
"""

from dataclasses import replace

from cluster.domain.ids import UnixSeconds
from cluster.domain.jobs import Amendment, Job, JobState
from cluster.errors import InvalidField, JobFinished

_NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.INGESTING}),
    JobState.INGESTING: frozenset({JobState.PRELABELLING}),
    JobState.PRELABELLING: frozenset({JobState.ASKING}),
    JobState.ASKING: frozenset({JobState.LEARNING, JobState.PRELABELLING, JobState.EXPORTING}),
    JobState.LEARNING: frozenset({JobState.PRELABELLING, JobState.ASKING}),
    JobState.EXPORTING: frozenset({JobState.COMPLETED}),
}


def advance(job: Job, state: JobState, now: UnixSeconds, failure: str | None = None) -> Job:
    """Return the job in its next state; raises JobFinished for a job that has ended.

    Asking for a step the life above does not have is a programming error (ValueError).
    """
    _check_unfinished(job)
    ends = state in (JobState.CANCELLED, JobState.FAILED)
    if not ends and state not in _NEXT[job.state]:
        raise ValueError(f"a job cannot go from {job.state} to {state}")
    ended = replace(job, state=state, updated_at=now, failure=failure)
    after_s = job.spec.expires_after_s
    if not state.is_terminal or after_s is None:
        return ended
    return replace(ended, expires_at=now + after_s)


def expire(job: Job, now: UnixSeconds) -> Job:
    """Return a job that has ended as expired; its time must have come (ValueError)."""
    if job.expires_at is None or now < job.expires_at:
        raise ValueError(f"job {job.job_id} does not expire before {job.expires_at}")
    return replace(job, state=JobState.EXPIRED, updated_at=now)


def request_cancel(job: Job, now: UnixSeconds) -> Job:
    """Return the job marked for cancelling; raises JobFinished for a job that has ended."""
    _check_unfinished(job)
    return replace(job, cancel_requested=True, updated_at=now)


def pause(job: Job, now: UnixSeconds) -> Job:
    """Return the job paused; raises JobFinished for a job that has ended."""
    _check_unfinished(job)
    return replace(job, paused=True, updated_at=now)


def resume(job: Job, now: UnixSeconds) -> Job:
    """Return the job to go on with; raises JobFinished for a job that has ended."""
    _check_unfinished(job)
    return replace(job, paused=False, updated_at=now)


def amend(job: Job, amendment: Amendment, now: UnixSeconds) -> Job:
    """Return the job on other terms.

    Raises JobFinished for a job that has ended, and InvalidField for a limit that the job is
    already past; one that it has just reached ends its asking.
    """
    _check_unfinished(job)
    budget, progress = amendment.budget, job.progress
    _check_limit("answers_max", budget.answers_max, progress.answers, "answers are spent")
    _check_limit("cost_max", budget.cost_max, progress.cost, "is spent")
    _check_limit("deadline_s", budget.deadline_s, now - job.created_at, "seconds have passed")
    return replace(job, amendment=amendment, updated_at=now)


def with_wishes_of(newer: Job, job: Job) -> Job:
    """Return a job under the wishes, and at the revision, that a newer reading of it has."""
    return replace(
        job,
        revision=newer.revision,
        cancel_requested=newer.cancel_requested,
        paused=newer.paused,
        amendment=newer.amendment,
    )


def _check_unfinished(job: Job) -> None:
    if job.state.is_terminal:
        raise JobFinished(job.job_id, job.state)


def _check_limit(name: str, limit: float | None, spent: float, what: str) -> None:
    if limit is not None and limit < spent:
        raise InvalidField(f"budget.{name}", f"must not be below what is gone: {spent:,g} {what}")
