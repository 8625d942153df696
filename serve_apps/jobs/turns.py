"""Which jobs have the runners where more want one than may run at a time.

Tenants share the runners evenly, whatever they submit: of those who wait, the tenant with the
fewest goes first. What ends by itself keeps its runner. Asking does not: it lasts as long as the
crowd does, and the shards ask on without a runner. So a job that asks gives way to one that waits,
and has its turn again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from cluster.domain.ids import JobId, TenantId, UnixSeconds
from cluster.domain.jobs import Job, JobState


@dataclass(frozen=True, slots=True)
class Moves:
    """The jobs whose runners are to be stopped, and those that are to be given one."""

    stop: tuple[JobId, ...]
    start: tuple[JobId, ...]


class Turns:
    """Who has a runner, `jobs_max` of them at a time.

    A job asks for `spell_s` at least before it gives way, counted from the first look that finds it
    at that. Whoever starts anew with nobody running has forgotten no more than who gave way lately.
    """

    def __init__(self, jobs_max: int, spell_s: float) -> None:
        self._jobs_max, self._spell_s = jobs_max, spell_s
        self._running: set[JobId] = set()
        self._asking: dict[JobId, UnixSeconds] = {}
        self._gave_way: dict[JobId, UnixSeconds] = {}
        self._held: set[JobId] = set()

    def moves(self, unfinished: Sequence[Job], now: UnixSeconds) -> Moves:
        """Return what is to be done, and hold it as done; at most one job gives way at a time."""
        self._held.intersection_update(job.job_id for job in unfinished if job.paused)
        known = {job.job_id for job in unfinished}
        self._gave_way = {job: at for job, at in self._gave_way.items() if job in known}
        self._asking = {
            job.job_id: self._asking.get(job.job_id, now)
            for job in unfinished
            if job.job_id in self._running and job.state is JobState.ASKING and not _hurries(job)
        }
        waiting = next_in_turn(
            unfinished, now, running=self._running, held=self._held, gave_way=self._gave_way
        )
        room = max(self._jobs_max - len(self._running), 0)
        start, stop = tuple(waiting[:room]), tuple[JobId, ...]()
        if waiting and not room:
            settled = {job for job, at in self._asking.items() if now - at >= self._spell_s}
            change = change_over(unfinished, waiting, running=self._running, settled=settled)
            if change is not None:
                stop, start = (change[0],), (change[1],)
        self._gave_way.update(dict.fromkeys(stop, now))
        self._running.difference_update(stop)
        self._running.update(start)
        return Moves(stop, start)

    def end(self, job_id: JobId, *, held: bool) -> None:
        """Note that a runner has ended; where its job is `held`, it is paused and needs none."""
        self._running.discard(job_id)
        if held:
            self._held.add(job_id)


def next_in_turn(
    unfinished: Sequence[Job],
    now: UnixSeconds,
    *,
    running: AbstractSet[JobId],
    held: AbstractSet[JobId],
    gave_way: Mapping[JobId, UnixSeconds],
) -> list[JobId]:
    """Return the jobs that wait for a runner, the next one first.

    Those `running` have one, and those `held` are paused and need none but to be cancelled. Jobs
    that are to be cancelled or held go first, for that takes a moment. Then come the tenants of the
    fewest running jobs, with one job each and then another, those before the others who wait
    longest. Of a tenant's own jobs the one goes first whose wait times its weight is longest; so
    the heavy ones wait less, and even the lightest is run at last. The wait counts from the submit,
    or from when the job gave way.
    """
    waiting = [
        job
        for job in unfinished
        if job.job_id not in running and (job.cancel_requested or job.job_id not in held)
    ]

    def waited_s(job: Job) -> float:
        return max(now - gave_way.get(job.job_id, job.created_at), 0.0)

    def turn(job: Job) -> tuple[bool, float, JobId]:
        return not _hurries(job), -waited_s(job) * job.agreed.weight, job.job_id

    has = _runners(unfinished, running)
    queue = list[tuple[bool, int, float, JobId]]()
    for job in sorted(waiting, key=turn):
        later, _, job_id = turn(job)
        queue.append((later, has[job.tenant_id], -waited_s(job), job_id))
        has[job.tenant_id] += 1
    return [job_id for _, _, _, job_id in sorted(queue)]


def change_over(
    unfinished: Sequence[Job],
    waiting: Sequence[JobId],
    *,
    running: AbstractSet[JobId],
    settled: AbstractSet[JobId],
) -> tuple[JobId, JobId] | None:
    """Return the job that gives way and the one `waiting` that has its runner; None for neither.

    Only a job that has asked for a spell gives way, one of the `settled`: to another of its tenant,
    or to a tenant that runs fewer. Of those who may, it is one of whose tenant the most run, saved
    longest ago.
    """
    jobs = {job.job_id: job for job in unfinished}
    has = _runners(unfinished, running)
    asking = [jobs[job_id] for job_id in settled]
    asking.sort(key=lambda job: (-has[job.tenant_id], job.updated_at, job.job_id))
    for waits in waiting:
        tenant = jobs[waits].tenant_id
        for job in asking:
            if job.tenant_id == tenant or has[job.tenant_id] > has[tenant]:
                return job.job_id, waits
    return None


def _hurries(job: Job) -> bool:
    """Whether a job's runner is soon done with it, by its owner's wish."""
    return job.cancel_requested or job.paused


def _runners(unfinished: Sequence[Job], running: AbstractSet[JobId]) -> Counter[TenantId]:
    """Return how many runners each tenant has."""
    return Counter(job.tenant_id for job in unfinished if job.job_id in running)
