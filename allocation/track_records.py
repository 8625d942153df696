"""What is known of workers beside their answers to a job: earlier jobs, and what they declared.

A job that ends stores how each of its workers did; the next jobs of the tenant read it. Columns:
`worker_id string, answers int64, right float64, seconds float64`, `right` being how many answers
are expected to be, and `seconds` the median an answer took.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from allocation.newcomers import Known
from allocation.quality.votes import Floats
from cluster import paths
from cluster.domain.ids import JobId, UnixSeconds, WorkerId
from cluster.domain.jobs import Job, JobState
from cluster.domain.work import AnswerColumns, WorkerProfile
from cluster.errors import ObjectMissing
from cluster.ports import ObjectStore, Stores

JOBS_MAX = 20
"""The records of so many of a tenant's newest completed jobs are read."""

JOB_PAGES_MAX = 10
"""In so many pages of a tenant's newest jobs completed ones are looked for."""

WORKERS_MAX = 5_000
"""Of so many workers with records something is known, and of so many of those registered."""

SKILLS_MAX = 8
"""So many of the skills that most workers declare are told apart."""

DAY_S, PROFILES_EVERY_S = 86_400.0, 60.0
PAGE, PAGE_OF_JOBS = 1_000, 100


@dataclass(frozen=True, slots=True)
class Record:
    """How a worker did: answers, how many of them are expected to be right, seconds for all."""

    answers: float
    right: float
    seconds: float

    def plus(self, more: "Record") -> "Record":
        """Return the record of this and of what came besides."""
        return Record(
            self.answers + more.answers, self.right + more.right, self.seconds + more.seconds
        )


class TrackRecords:
    """What is known of workers while a job asks: who has registered is looked at now and then,
    earlier jobs once, as what they tell does not change."""

    def __init__(self, stores: Stores, job: Job) -> None:
        self._stores, self._records = stores, read_records(stores, job)
        self._told: tuple[WorkerId, ...] = ()
        self._looked_at: UnixSeconds | None = None

    def news(self, now: UnixSeconds) -> Known | None:
        """Return what is known where that is of other workers than it was the last time."""
        if self._looked_at is not None and now - self._looked_at < PROFILES_EVERY_S:
            return None
        self._looked_at = now
        known = read_known(self._stores, self._records, now)
        if known.worker_ids == self._told:
            return None
        self._told = known.worker_ids
        return known


def write_records(
    objects: ObjectStore, job_id: JobId, answers: AnswerColumns, posterior: Floats
) -> None:
    """Store how a job's workers did, given what is believed of its items (items, K)."""
    workers = len(answers.worker_ids)
    right = posterior[answers.positions, answers.labels]
    order = np.argsort(answers.workers, kind="stable")
    bounds = np.searchsorted(answers.workers[order], np.arange(1, workers))
    table = pa.table(
        {
            "worker_id": pa.array(answers.worker_ids, pa.string()),
            "answers": np.bincount(answers.workers, minlength=workers),
            "right": np.bincount(answers.workers, right, minlength=workers).astype(np.float64),
            "seconds": [
                float(np.median(part)) if len(part) else 0.0
                for part in np.split(answers.durations_s[order], bounds)[:workers]
            ],
        }
    )
    with objects.open_output(paths.workers(job_id)) as stream:
        pq.write_table(table, stream)


def read_records(stores: Stores, job: Job) -> dict[WorkerId, Record]:
    """Return how workers did in the newest completed jobs of a job's tenant.

    Those with most answers in these jobs come first.
    """
    found: dict[WorkerId, Record] = {}
    completed = (each for each in _newest(stores, job) if each.state is JobState.COMPLETED)
    for other in islice(completed, JOBS_MAX):
        for worker_id, record in _read(stores.objects, other.job_id):
            before = found.get(worker_id)
            found[worker_id] = record if before is None else before.plus(record)
    ranked = sorted(found, key=lambda worker_id: -found[worker_id].answers)
    return {worker_id: found[worker_id] for worker_id in ranked[:WORKERS_MAX]}


def read_known(stores: Stores, records: Mapping[WorkerId, Record], now: UnixSeconds) -> Known:
    """Return what is known of workers from records and from profiles; records come first."""
    profiles = _profiles(stores)
    skills = [skill for skill, _ in _declared(profiles.values()).most_common(SKILLS_MAX)]
    everybody = tuple(dict.fromkeys((*records, *profiles)))
    rows = [
        _of_record(records.get(who)) + _of_profile(profiles.get(who), skills, now)
        for who in everybody
    ]
    return Known(worker_ids=everybody, features=np.array(rows)) if rows else Known.nothing()


def _newest(stores: Stores, job: Job) -> Iterator[Job]:
    """Yield the other jobs of a job's tenant, newest first."""
    after: JobId | None = None
    for _ in range(JOB_PAGES_MAX):
        page = stores.jobs.page(job.tenant_id, after, PAGE_OF_JOBS)
        yield from (other for other in page if other.job_id != job.job_id)
        if len(page) < PAGE_OF_JOBS:
            return
        after = page[-1].job_id


def _read(objects: ObjectStore, job_id: JobId) -> list[tuple[WorkerId, Record]]:
    """Return the records of a job; none where an older release has run it."""
    try:
        with objects.open_input(paths.workers(job_id)) as stream:
            rows = pq.read_table(stream).to_pylist()
    except ObjectMissing:
        return []
    return [
        (
            WorkerId(row["worker_id"]),
            Record(row["answers"], row["right"], row["answers"] * row["seconds"]),
        )
        for row in rows
    ]


def _profiles(stores: Stores) -> dict[WorkerId, WorkerProfile]:
    found: dict[WorkerId, WorkerProfile] = {}
    after: WorkerId | None = None
    while len(found) < WORKERS_MAX and (page := stores.workers.page(after, PAGE)):
        found |= {profile.worker_id: profile for profile in page}
        after = page[-1].worker_id
    return found


def _declared(profiles: Iterable[WorkerProfile]) -> Counter[str]:
    return Counter(skill for profile in profiles for skill in sorted(profile.skills))


def _of_record(record: Record | None) -> list[float]:
    """Return log odds of a right answer, experience and pace; answers count as if 3 came before."""
    if record is None:
        return [np.nan, 0.0, np.nan]
    share = (record.right + 2.0) / (record.answers + 3.0)
    pace = record.seconds / max(record.answers, 1.0)
    return [
        float(np.log(share / (1.0 - share))),
        float(np.log1p(record.answers)),
        float(np.log1p(pace)),
    ]


def _of_profile(
    profile: WorkerProfile | None, skills: Sequence[str], now: UnixSeconds
) -> list[float]:
    """Return kind, price, days since registration and skills."""
    if profile is None:
        return [np.nan] * (4 + len(skills))
    days = max(now - profile.registered_at, 0.0) / DAY_S
    kinds = [float(profile.kind == kind) for kind in ("llm", "model")]
    declared = [float(skill in profile.skills) for skill in skills]
    return [*kinds, float(np.log1p(profile.price)), float(np.log1p(days)), *declared]
