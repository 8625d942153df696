"""`JobStore`: whole jobs come back, saves are compare-and-set, tenants never meet."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cluster.domain.ids import JobId, TenantId
from cluster.domain.jobs import JobState
from cluster.domain.webhooks import WebhookKind
from cluster.errors import IdempotencyMismatch, JobNotFound, StaleRevision
from cluster.ports import Stores
from cluster.tenant_errors import QuotaExceeded
from tests.conformance import samples


def test_a_job_comes_back_as_it_was_stored(stores: Stores) -> None:
    # Given a job with every nested value set
    job = replace(samples.job(), certificate=samples.CERTIFICATE, failure="none ✓")

    # When it is stored
    created = stores.jobs.create(job, None)

    # Then every way of reading gives back an equal one
    assert created == job
    assert stores.jobs.load(job.job_id) == job
    assert stores.jobs.get(job.tenant_id, job.job_id) == job
    assert stores.jobs.page(job.tenant_id, None, 10) == (job,)
    assert stores.jobs.unfinished() == (job,)


def test_a_missing_job_and_another_tenants_job_look_the_same(stores: Stores) -> None:
    job = stores.jobs.create(samples.job(), None)

    with pytest.raises(JobNotFound) as foreign:
        stores.jobs.get(TenantId("rival"), job.job_id)
    with pytest.raises(JobNotFound) as unknown:
        stores.jobs.get(samples.TENANT, JobId("job-9999"))
    with pytest.raises(JobNotFound):
        stores.jobs.load(JobId("job-9999"))

    assert str(foreign.value).replace("0001", "") == str(unknown.value).replace("9999", "")
    assert stores.jobs.page(TenantId("rival"), None, 10) == ()


def test_a_job_id_is_stored_once(stores: Stores) -> None:
    stores.jobs.create(samples.job(), None)

    with pytest.raises(StaleRevision):
        stores.jobs.create(samples.job(tenant_id=TenantId("rival")), None)

    assert stores.jobs.load(samples.JOB).tenant_id == samples.TENANT


def test_a_retry_returns_the_first_job(stores: Stores) -> None:
    # Given a job that was stored under a key and has moved on since
    first = stores.jobs.create(samples.job(1), samples.key())
    first = stores.jobs.save(replace(first, state=JobState.INGESTING))

    # When the same request comes again with a fresh job id
    again = stores.jobs.create(samples.job(2), samples.key())

    # Then it is the first job, and the second was never stored
    assert again == first
    assert stores.jobs.page(samples.TENANT, None, 10) == (first,)


def test_a_key_with_another_request_is_a_mismatch_and_stores_nothing(stores: Stores) -> None:
    stores.jobs.create(samples.job(1), samples.key(fingerprint="one"))

    with pytest.raises(IdempotencyMismatch):
        stores.jobs.create(samples.job(2), samples.key(fingerprint="two"))

    assert len(stores.jobs.unfinished()) == 1


def test_a_key_of_before_the_fingerprint_changed_is_the_same_key(stores: Stores) -> None:
    first = stores.jobs.create(samples.job(1), samples.key(fingerprint="old"))
    key = replace(samples.key(fingerprint="new"), former="old")
    assert stores.jobs.create(samples.job(2), key) == first
    assert stores.jobs.find(samples.TENANT, key) == first


def test_a_history_begins_with_the_job(stores: Stores) -> None:
    # Given a job that is stored with its first event
    stores.jobs.create(samples.job(1), samples.key(), None, None, [samples.event("submitted")])
    # When it comes again, and when another one is refused
    again, refused = samples.job(2), samples.job(3)
    event = samples.event("again", again.job_id)
    stores.jobs.create(again, samples.key(), None, None, [event])
    with pytest.raises(QuotaExceeded):
        stores.jobs.create(refused, None, 1, None, [samples.event("refused", refused.job_id)])
    # Then that event is the only one
    (first,) = stores.events.read(samples.JOB, 0, 10)
    assert (first.kind, first.seq) == ("submitted", 1)
    assert [stores.events.newest(job.job_id) for job in (again, refused)] == [0, 0]


def test_a_retry_is_found_before_anything_is_created(stores: Stores) -> None:
    # Given a job that was stored under a key and has moved on since
    assert stores.jobs.find(samples.TENANT, samples.key()) is None
    first = stores.jobs.create(samples.job(1), samples.key())
    first = stores.jobs.save(replace(first, state=JobState.INGESTING))

    # Then its tenant finds it by the key, nobody else does, and no other request
    assert stores.jobs.find(samples.TENANT, samples.key()) == first
    assert stores.jobs.find(TenantId("rival"), samples.key()) is None
    assert stores.jobs.find(samples.TENANT, samples.key("retry-2")) is None
    with pytest.raises(IdempotencyMismatch):
        stores.jobs.find(samples.TENANT, samples.key(fingerprint="another"))


def test_looking_for_a_key_does_not_use_it_up(stores: Stores) -> None:
    stores.jobs.find(samples.TENANT, samples.key(fingerprint="one"))

    assert stores.jobs.create(samples.job(2), samples.key(fingerprint="two")).job_id == "job-0002"


def test_keys_are_scoped_to_their_tenant(stores: Stores) -> None:
    stores.jobs.create(samples.job(1), samples.key(fingerprint="one"))

    other = stores.jobs.create(
        samples.job(2, tenant_id=TenantId("rival")), samples.key(fingerprint="two")
    )

    assert other.job_id == "job-0002"


def test_a_failed_create_does_not_use_up_the_key(stores: Stores) -> None:
    stores.jobs.create(samples.job(1), None)

    with pytest.raises(StaleRevision):
        stores.jobs.create(samples.job(1), samples.key())

    assert stores.jobs.create(samples.job(2), samples.key()).job_id == "job-0002"


def test_parallel_retries_make_one_job(stores: Stores) -> None:
    with ThreadPoolExecutor(8) as threads:
        jobs = list(
            threads.map(lambda n: stores.jobs.create(samples.job(n), samples.key()), range(1, 25))
        )

    assert len({job.job_id for job in jobs}) == 1
    assert stores.jobs.unfinished() == (jobs[0],)


def test_saving_raises_the_revision(stores: Stores) -> None:
    job = stores.jobs.create(samples.job(), None)

    saved = stores.jobs.save(
        replace(job, state=JobState.FAILED, failure="no rows", certificate=samples.CERTIFICATE)
    )

    assert saved == replace(
        job,
        state=JobState.FAILED,
        failure="no rows",
        certificate=samples.CERTIFICATE,
        revision=job.revision + 1,
    )
    assert stores.jobs.load(job.job_id) == saved


def test_what_its_owner_wishes_is_stored_with_the_job(stores: Stores) -> None:
    job = stores.jobs.create(samples.job(), None)

    saved = stores.jobs.save(replace(job, paused=True, amendment=samples.amendment()))

    assert (saved.paused, saved.amendment) == (True, samples.amendment())
    assert stores.jobs.load(job.job_id) == saved
    assert stores.jobs.save(replace(saved, paused=False, amendment=None)).amendment is None


def test_a_stale_save_changes_nothing(stores: Stores) -> None:
    read = stores.jobs.create(samples.job(), None)
    saved = stores.jobs.save(replace(read, updated_at=2.0))

    with pytest.raises(StaleRevision):
        stores.jobs.save(replace(read, state=JobState.FAILED))

    assert stores.jobs.load(read.job_id) == saved


def test_saving_an_unknown_job_is_not_found(stores: Stores) -> None:
    with pytest.raises(JobNotFound):
        stores.jobs.save(samples.job())


def test_a_cancel_request_is_never_lost(stores: Stores) -> None:
    # Given a cancel request that was stored
    job = stores.jobs.create(samples.job(), None)
    cancelled = stores.jobs.save(replace(job, cancel_requested=True))

    # When somebody saves the job without it, at the right revision
    saved = stores.jobs.save(replace(cancelled, cancel_requested=False))

    # Then it stands
    assert saved.cancel_requested
    assert stores.jobs.load(job.job_id).cancel_requested


def test_of_parallel_saves_at_one_revision_one_wins(stores: Stores) -> None:
    job = stores.jobs.create(samples.job(), None)

    def save(at: float) -> float | None:
        try:
            return stores.jobs.save(replace(job, updated_at=at)).updated_at
        except StaleRevision:
            return None

    with ThreadPoolExecutor(8) as threads:
        won = [at for at in threads.map(save, map(float, range(16))) if at is not None]

    assert len(won) == 1
    assert stores.jobs.load(job.job_id).updated_at == won[0]


def test_pages_run_from_the_newest_job_and_skip_none_that_were_there(stores: Stores) -> None:
    # Given jobs of two tenants
    for number in range(1, 8):
        stores.jobs.create(samples.job(number), None)
        stores.jobs.create(samples.job(100 + number, tenant_id=TenantId("rival")), None)

    # When one tenant pages while a job is added at the front
    first = stores.jobs.page(samples.TENANT, None, 3)
    stores.jobs.create(samples.job(8), None)
    rest = stores.jobs.page(samples.TENANT, first[-1].job_id, 100)

    # Then the pages hold its jobs only, newest first, each once
    ids = [job.job_id for job in (*first, *rest)]
    assert ids == [f"job-{number:04d}" for number in range(7, 0, -1)]


def test_only_unfinished_jobs_are_listed_as_such_oldest_first(stores: Stores) -> None:
    for number, state in enumerate(JobState):
        stores.jobs.create(samples.job(99 - number, state=state), None)
    stores.jobs.save(replace(stores.jobs.load(JobId("job-0099")), state=JobState.CANCELLED))

    found = stores.jobs.unfinished()

    assert [job.job_id for job in found] == [f"job-{number:04d}" for number in range(94, 99)]
    assert not any(job.state.is_terminal for job in found)


def test_a_job_and_what_happened_to_it_are_stored_together(stores: Stores) -> None:
    job = stores.jobs.create(samples.job(state=JobState.EXPORTING), None)
    ended = replace(job, state=JobState.COMPLETED)

    saved = stores.jobs.save(ended, [samples.event()])
    with pytest.raises(StaleRevision):
        stores.jobs.save(ended, [samples.event("late")])

    assert saved.state is JobState.COMPLETED
    assert [event.kind for event in stores.events.read(job.job_id, 0, 10)] == ["state"]
    (notice,) = stores.events.notices(10)
    assert notice.kind is WebhookKind.JOB_COMPLETED


def test_a_step_that_is_not_the_last_is_nothing_to_webhooks(stores: Stores) -> None:
    job = stores.jobs.create(samples.job(), None)

    stores.jobs.save(replace(job, state=JobState.INGESTING), [samples.event()])

    assert stores.events.newest(job.job_id) == 1
    assert stores.events.notices(10) == ()
