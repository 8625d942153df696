"""How workers did in earlier jobs is kept, and told the next ones of the same tenant."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from allocation.newcomers import Known
from allocation.purse import amounts
from allocation.stage import AskSession
from allocation.track_records import (
    JOBS_MAX,
    PROFILES_EVERY_S,
    TrackRecords,
    read_known,
    read_records,
    write_records,
)
from cluster import paths
from cluster.domain.ids import JobId, KeyId, TenantId, WorkerId
from cluster.domain.jobs import Goal, Job, JobState
from cluster.domain.work import Answer, AnswerColumns, WorkerProfile
from cluster.errors import ObjectMissing
from cluster.ports import Stores
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from tests.unit.allocation.crowds import CrowdWorld
from tests.unit.allocation.worlds import JOB, job, worker

DAY_S = 86_400.0


def given_job(
    stores: Stores, name: str, said: dict[str, list[int]], tenant: str | None = None
) -> None:
    """Store a completed job whose items all are label 0, and what workers said of them."""
    stored = replace(job(JobId(name)), state=JobState.COMPLETED)
    if tenant is not None:
        stored = replace(stored, tenant_id=TenantId(tenant))
    stores.jobs.create(stored, None)
    answers = [
        Answer(
            job_id=JobId(name),
            position=position,
            worker_id=WorkerId(who),
            label=label,
            purpose="label",
            price=0.0,
            answered_at=0.0,
            duration_s=10.0 + position,
        )
        for who, labels in said.items()
        for position, label in enumerate(labels)
    ]
    posterior = np.tile([0.9, 0.1, 0.0], (max(map(len, said.values()), default=0), 1))
    write_records(stores.objects, JobId(name), AnswerColumns.of(answers), posterior)


def known_to(stores: Stores, new: Job, now: float) -> Known:
    return read_known(stores, read_records(stores, new), now)


@pytest.fixture
def stores() -> Stores:
    return memory_stores(MemoryObjects())


def test_records_of_a_tenants_jobs_add_up(stores: Stores) -> None:
    # Given two jobs in which a worker was right, and another wrong; and one of another tenant
    given_job(stores, "first", {"good": [0, 0, 0], "bad": [1, 1, 1]})
    given_job(stores, "second", {"good": [0, 0]})
    given_job(stores, "other", {"stranger": [0, 0]}, tenant="elsewhere")

    # When a third looks
    known = known_to(stores, job(), now=0.0)

    # Then who answered most comes first, with odds, experience and pace of all that was answered
    assert known.worker_ids == ("good", "bad")
    right = np.array([5 * 0.9 + 2.0, 3 * 0.1 + 2.0])
    wrong = np.array([5 * 0.1 + 1.0, 3 * 0.9 + 1.0])
    assert known.features[:, 0] == pytest.approx(np.log(right / wrong))
    assert known.features[:, 1] == pytest.approx(np.log1p([5, 3]))
    assert known.features[:, 2] == pytest.approx(np.log1p([(3 * 11.0 + 2 * 10.5) / 5, 11.0]))
    assert np.isnan(known.features[:, 3:]).all()


def test_jobs_that_have_not_ended_leave_the_records_of_those_that_have(stores: Stores) -> None:
    # Given an old job with records, and since then more jobs than are read that run, or failed
    given_job(stores, "000", {"good": [0, 0, 0]})
    for number in range(1, 8 * JOBS_MAX):
        state = JobState.ASKING if number % 2 else JobState.FAILED
        stores.jobs.create(replace(job(JobId(f"{number:03}")), state=state), None)

    # When a new job looks, then it knows whom that one knew
    assert list(read_records(stores, job(JobId("new")))) == ["good"]


def test_of_the_completed_jobs_the_newest_are_read(stores: Stores) -> None:
    for number in range(JOBS_MAX + 1):
        given_job(stores, f"{number:03}", {f"w{number}": [0]})

    found = read_records(stores, job(JobId("new")))

    assert set(found) == {f"w{number}" for number in range(1, JOBS_MAX + 1)}


def test_what_is_known_is_told_again_only_once_somebody_has_registered(stores: Stores) -> None:
    # Given a job that asks, after one that is over
    given_job(stores, "first", {"good": [0, 0, 0]})
    records = TrackRecords(stores, job())
    told = records.news(now=0.0)
    assert told is not None
    assert told.worker_ids == ("good",)

    # When nobody registers, and another job ends, then there is no news
    given_job(stores, "second", {"other": [0, 0]})
    assert records.news(now=PROFILES_EVERY_S) is None

    # When somebody does, then that is told, but not at once
    stores.workers.add(worker("new", price=0.0))
    assert records.news(now=1.9 * PROFILES_EVERY_S) is None
    news = records.news(now=2.0 * PROFILES_EVERY_S)
    assert news is not None
    assert news.worker_ids == ("good", "new")


def test_profiles_tell_kind_price_age_and_skills(stores: Stores) -> None:
    # Given two who registered, one of them yesterday with a skill, who never answered
    stores.workers.add(worker("plain", price=0.0))
    stores.workers.add(
        WorkerProfile(
            worker_id=WorkerId("skilled"),
            owner=KeyId("key"),
            name="skilled",
            kind="llm",
            skills=frozenset({"medicine"}),
            price=1.0,
            registered_at=9 * DAY_S,
        )
    )

    known = known_to(stores, job(), now=10 * DAY_S)

    # Then nothing is known of how good they are, all else is
    by_id = dict(zip(known.worker_ids, known.features.tolist(), strict=True))
    assert np.isnan(by_id[WorkerId("plain")][0])
    assert by_id[WorkerId("skilled")][3:] == pytest.approx([1, 0, np.log(2), np.log(2), 1])
    assert by_id[WorkerId("plain")][3:] == pytest.approx([0, 0, 0, np.log1p(10), 0])


def test_a_job_without_records_and_without_workers_is_no_harm(stores: Stores) -> None:
    stores.jobs.create(replace(job(JobId("old")), state=JobState.COMPLETED), None)

    assert known_to(stores, job(), now=0.0).worker_ids == ()


def test_a_job_that_nobody_answered_has_an_empty_record(stores: Stores) -> None:
    given_job(stores, "silent", {})

    assert known_to(stores, job(), now=0.0).worker_ids == ()


def test_a_job_that_ends_stores_how_its_workers_did() -> None:
    # Given a job with good workers and a bad one
    rng = np.random.default_rng(1)
    spec = replace(job().spec, goal=Goal(accuracy=0.9))
    given = CrowdWorld(spec=spec, items=200, accuracies=[0.4, *[0.95] * 11], rng=rng)
    with pytest.raises(ObjectMissing):
        given.stores.objects.read(paths.workers(JOB))

    # When it has run
    given.stage().run(given.desk())
    given.stores.jobs.save(replace(given.stores.jobs.load(JOB), state=JobState.COMPLETED))

    # Then the next job knows them
    known = known_to(given.stores, job(JobId("next")), now=0.0)
    odds = dict(zip(known.worker_ids, known.features[:, 0].tolist(), strict=True))
    assert odds[WorkerId("w0")] < min(odds[WorkerId(f"w{good}")] for good in range(1, 12))


def test_a_worker_known_from_earlier_jobs_is_expected_to_do_as_they_did() -> None:
    # Given forty workers of all kinds, and two who are new here: what earlier jobs say of them
    # all is true
    rng = np.random.default_rng(5)
    accuracies = rng.uniform(0.4, 0.98, 40).tolist()
    given = CrowdWorld(spec=job().spec, items=800, accuracies=accuracies, rng=rng)
    everybody = {f"w{number}": accuracy for number, accuracy in enumerate(accuracies)}
    said = {
        who: (rng.random(100) > accuracy).astype(int).tolist()
        for who, accuracy in (everybody | {"able": 0.98, "poor": 0.4}).items()
    }
    given_job(given.stores, "earlier", said)

    # When the job has run for a while
    shards = tuple(given.shards)
    session = AskSession(given.stores, given.stage()._settings, 0, shards, given.desk())
    for _ in range(6):
        session.tick()
        given.wait(1.0)
    session.tick()

    # Then shards expect more of the one than of the other, though neither has answered
    campaign = session._campaign
    partition = given.stores.partitions.of_job(JOB)[0]
    snapshot = campaign.snapshot(partition, amounts(1_000, inf), audits_only=False)
    row = {worker_id: number for number, worker_id in enumerate(snapshot.worker_ids)}
    expected = {
        who: float(np.exp(np.diagonal(snapshot.log_confusion[row[WorkerId(who)]])).mean())
        for who in ("able", "poor")
    }
    pooled = float(np.exp(np.diagonal(snapshot.pooled_log_confusion)).mean())
    assert expected["poor"] < pooled < expected["able"]
