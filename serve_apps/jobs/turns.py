"""Which job is run next where more wait than may run at a time."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from cluster.domain.ids import JobId, UnixSeconds
from cluster.domain.jobs import Job


def next_in_turn(
    unfinished: Sequence[Job],
    now: UnixSeconds,
    *,
    running: AbstractSet[JobId],
    held: AbstractSet[JobId],
) -> list[JobId]:
    """Return the jobs that wait for a runner, the next one first.

    Those `running` have one, and those `held` are paused and need none but to be cancelled. Jobs
    that are to be cancelled or held go first, for that takes a moment. Of the others the one goes
    first whose time since submit times its weight is longest; so the heavy ones wait less, and
    even the lightest is run at last.
    """
    waiting = [
        job
        for job in unfinished
        if job.job_id not in running and (job.cancel_requested or job.job_id not in held)
    ]

    def turn(job: Job) -> tuple[bool, float, JobId]:
        waited_s = max(now - job.created_at, 0.0)
        return not (job.cancel_requested or job.paused), -waited_s * job.agreed.weight, job.job_id

    return [job.job_id for job in sorted(waiting, key=turn)]
