"""`QuotaStore` and `RetentionStore`: what tenants have and may have, and what is to go."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cluster.domain.ids import JobId, TenantId
from cluster.domain.jobs import Job, JobState, Progress
from cluster.domain.quotas import Quotas, Usage
from cluster.domain.uploads import UploadPart
from cluster.ports import Stores
from cluster.tenant_errors import QuotaExceeded
from tests.conformance import samples

RIVAL = TenantId("rival")
ENDED = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED)


def stored(stores: Stores, number: int, state: JobState, expires_at: float | None = None) -> Job:
    job = replace(samples.job(number, state=state), progress=Progress(items=10))
    return stores.jobs.create(replace(job, expires_at=expires_at), None)


def test_a_tenant_uses_what_is_stored_of_it(stores: Stores) -> None:
    for number, state in enumerate((JobState.QUEUED, JobState.ASKING, *ENDED)):
        stored(stores, number, state)
    stores.jobs.create(samples.job(9, RIVAL), None)
    stores.uploads.create(samples.upload(), 1_000)

    assert stores.quotas.usage(samples.TENANT) == Usage(
        jobs_unfinished=2, items=50, upload_bytes=100
    )
    assert stores.quotas.usage(RIVAL) == Usage(jobs_unfinished=1, items=3, upload_bytes=0)


def test_a_tenants_uploads_are_listed_page_by_page(stores: Stores) -> None:
    # Given uploads of two tenants, one of which has begun to come
    mine = [replace(samples.upload(), upload_id=f"upl-{number}") for number in range(5)]
    for upload in mine:
        stores.uploads.create(upload, 10_000)
    stores.uploads.create(replace(mine[0], upload_id="upl-3b", tenant_id=RIVAL), 10_000)
    part = UploadPart(offset_bytes=0, size_bytes=30, path="parts/0")
    mine[1] = stores.uploads.append(mine[1], [part])
    # When they are read by pages of two, the newest first
    first = stores.quotas.uploads(samples.TENANT, None, 2)
    second = stores.quotas.uploads(samples.TENANT, first[-1].upload_id, 2)
    third = stores.quotas.uploads(samples.TENANT, second[-1].upload_id, 2)
    # Then each comes once, as it stands, and nobody else's
    assert [*first, *second, *third] == mine[::-1]
    assert stores.quotas.uploads(samples.TENANT, mine[0].upload_id, 2) == ()


def test_a_tenant_runs_as_many_jobs_as_it_may_also_in_a_race(stores: Stores) -> None:
    stored(stores, 99, JobState.COMPLETED)

    def create(number: int) -> bool:
        try:
            stores.jobs.create(samples.job(number), samples.key(f"key-{number}"), 3)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(create, range(8)))

    assert sum(created) == stores.quotas.usage(samples.TENANT).jobs_unfinished == 3
    with pytest.raises(QuotaExceeded, match="quota jobs_unfinished is 3, and 3 are used"):
        stores.jobs.create(samples.job(50), None, 3)
    # What was refused has used up no key, and what was made is returned
    refused, made = created.index(False), created.index(True)
    assert stores.jobs.find(samples.TENANT, samples.key(f"key-{refused}")) is None
    assert stores.jobs.create(samples.job(51), samples.key(f"key-{made}"), 3).job_id == JobId(
        f"job-{made:04d}"
    )


def test_an_exception_stands_until_it_is_replaced(stores: Stores) -> None:
    assert stores.quotas.exception(samples.TENANT) == Quotas()
    for quotas in (Quotas(items_max=0, upload_bytes_max=2**50), Quotas(jobs_unfinished_max=1)):
        stores.quotas.set_exception(samples.TENANT, quotas)
        assert stores.quotas.exception(samples.TENANT) == quotas
    assert stores.quotas.exception(RIVAL) == Quotas()


def test_jobs_expire_in_order_when_their_time_has_come(stores: Stores) -> None:
    late, early = (stored(stores, n, JobState.COMPLETED, at) for n, at in ((1, 30.0), (2, 20.0)))
    stored(stores, 3, JobState.FAILED, 31.0)
    stored(stores, 4, JobState.COMPLETED)

    assert stores.retention.expiring(30.0, 10) == (early, late)
    assert stores.retention.expiring(30.0, 1) == (early,)
    stores.jobs.save(replace(early, state=JobState.EXPIRED, expires_at=None))
    assert stores.retention.expiring(30.0, 10) == (late,)


def test_a_source_is_one_until_its_last_job_expires(stores: Stores) -> None:
    first, second = (stored(stores, number, JobState.COMPLETED) for number in (1, 2))
    uri = first.spec.source.uri
    assert not stores.retention.is_source(RIVAL, uri)
    assert not stores.retention.is_source(samples.TENANT, uri + "x")
    for job, before in ((first, True), (second, True)):
        assert stores.retention.is_source(samples.TENANT, uri) is before
        stores.jobs.save(replace(job, state=JobState.EXPIRED))
    assert not stores.retention.is_source(samples.TENANT, uri)


def test_contents_go_and_the_history_stays(stores: Stores) -> None:
    other = JobId("job-0002")
    for job_id in (samples.JOB, other):
        stores.chunks.add([samples.chunk(0, job_id)])
        stores.chunks.set_predicted([samples.prediction(0, 1, job_id)])
        stores.results.append(samples.segment(0, 0, 3, job_id))
        stores.events.append([samples.event(job_id=job_id)])

    for _ in range(2):
        stores.retention.drop_contents(samples.JOB)

    assert stores.chunks.chunks(samples.JOB) == ()
    assert stores.chunks.predictions(samples.JOB) == ()
    assert stores.results.segments(samples.JOB, 0, 10) == ()
    assert stores.events.newest(samples.JOB) == 1
    assert len(stores.chunks.chunks(other)) == len(stores.results.segments(other, 0, 10)) == 1


def test_an_upload_is_known_whoever_owns_it(stores: Stores) -> None:
    stores.uploads.create(samples.upload(), 1_000)
    assert stores.retention.upload("upl-1") == samples.upload()
    assert stores.retention.upload("upl-2") is None
