"""The life of a job as a pure state machine.

    queued → ingesting → prelabelling → asking ⇄ learning
                              ↑            │         │
                              └────────────┼─────────┘  (a promoted model pre-labels flips again)
                                           └→ exporting → completed

Every state that is not terminal may also end as cancelled or failed.
"""

from dataclasses import replace

from cluster.domain.ids import UnixSeconds
from cluster.domain.jobs import Job, JobState
from cluster.errors import JobFinished

_NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.INGESTING}),
    JobState.INGESTING: frozenset({JobState.PRELABELLING}),
    JobState.PRELABELLING: frozenset({JobState.ASKING}),
    JobState.ASKING: frozenset({JobState.LEARNING, JobState.EXPORTING}),
    JobState.LEARNING: frozenset({JobState.PRELABELLING, JobState.ASKING}),
    JobState.EXPORTING: frozenset({JobState.COMPLETED}),
}


def advance(job: Job, state: JobState, now: UnixSeconds, failure: str | None = None) -> Job:
    """Return the job in its next state; raises JobFinished for a job that has ended.

    Asking for a step the life above does not have is a programming error (ValueError).
    """
    if job.state.is_terminal:
        raise JobFinished(job.job_id, job.state)
    ends = state in (JobState.CANCELLED, JobState.FAILED)
    if not ends and state not in _NEXT[job.state]:
        raise ValueError(f"a job cannot go from {job.state} to {state}")
    return replace(job, state=state, updated_at=now, failure=failure)


def request_cancel(job: Job, now: UnixSeconds) -> Job:
    """Return the job marked for cancelling; raises JobFinished for a job that has ended."""
    if job.state.is_terminal:
        raise JobFinished(job.job_id, job.state)
    return replace(job, cancel_requested=True, updated_at=now)
