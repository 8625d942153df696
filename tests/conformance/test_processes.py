"""What the ports promise when several processes of one deployment do the same at once."""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from cluster.domain.ids import JobId, WorkerId
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from tests.conformance import crew, samples
from tests.model_lines import go_live

PROCESSES = 3

Race = Callable[..., list[Future[Any]]]


@pytest.fixture(scope="module")
def race() -> Iterator[Race]:
    """Return what starts one function in every process; they begin together."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([crew.__name__])
    with ProcessPoolExecutor(
        PROCESSES, context, initializer=crew.enlist, initargs=(context.Barrier(PROCESSES),)
    ) as pool:

        def start(
            work: Callable[..., object], settings: Settings, *arguments: tuple[object, ...]
        ) -> list[Future[Any]]:
            return [pool.submit(work, settings, *own) for own in arguments]

        yield start


def test_stores_are_made_once_by_whoever_comes_first(race: Race, settings: Settings) -> None:
    # When processes open a deployment that does not exist yet
    secrets = [found.result() for found in race(crew.open_first, settings, (1,), (2,), (3,))]

    # Then all work on the same one
    stores = open_stores(settings)
    assert [job.job_id for job in stores.jobs.unfinished()] == ["job-0001", "job-0002", "job-0003"]
    assert list(stores.objects.list("probe")) == ["probe/1", "probe/2", "probe/3"]
    assert len(set(secrets)) == 1


def test_parallel_retries_of_many_requests_make_one_job_each(
    race: Race, settings: Settings
) -> None:
    stores = open_stores(settings)

    results = race(crew.create_jobs, settings, (1, 20), (2, 20), (3, 20))
    answers = [found.result() for found in results]

    assert answers[0] == answers[1] == answers[2]
    assert {job.job_id for job in stores.jobs.unfinished()} == set(map(JobId, answers[0]))


def test_no_save_is_lost(race: Race, settings: Settings) -> None:
    stores = open_stores(settings)
    stores.jobs.create(samples.job(), None)

    for done in race(crew.count_up, settings, (15,), (15,), (15,)):
        done.result()

    job = stores.jobs.load(samples.JOB)
    assert (job.progress.answers, job.revision) == (45, 45)


def test_only_the_newest_owner_of_a_partition_appends(race: Race, settings: Settings) -> None:
    # Given a partition that three shards take from one another while they append
    stores = open_stores(settings)
    stores.partitions.add([replace(samples.partition(), items=10**6)])

    results = race(crew.fight_for_partition, settings, (1, 10), (2, 10), (3, 10))
    acknowledged = [position for found in results for position in found.result()]

    # Then what was acknowledged is stored once, and epochs never fall along the log
    log = stores.answers.read(samples.JOB, 0, 10**6)
    assert sorted(log.positions.tolist()) == sorted(acknowledged)
    assert log.labels.tolist() == sorted(log.labels.tolist())
    assert stores.partitions.of_job(samples.JOB)[0].epoch == 30
    assert len(Counter(log.labels.tolist())) > 3


def test_a_reader_that_pages_misses_no_answer(race: Race, settings: Settings) -> None:
    # Given three processes that fill a partition each
    stores = open_stores(settings)
    stores.partitions.add([samples.partition(number) for number in range(3)])
    filling = race(crew.fill_partition, settings, (0, 30), (1, 30), (2, 30))

    # When a reader pages on while they do
    seen = samples.follow(stores.answers, lambda: all(done.done() for done in filling))

    # Then it has seen each answer exactly once
    for done in filling:
        done.result()
    assert sorted(seen) == [1_000 * number + n for number in range(3) for n in range(300)]
    assert stores.answers.totals(WorkerId("ann")).answers == 900


def test_promotions_form_one_chain(race: Race, settings: Settings) -> None:
    stores = open_stores(settings)
    for version in range(31):
        stores.models.add(samples.model(version))
    go_live(stores.lines, crew.PETS, 0)

    for done in race(crew.promote_up, settings, (10,), (10,), (10,)):
        done.result()

    assert stores.models.live(crew.PETS).spec.version == 30


def test_result_segments_stay_continuous(race: Race, settings: Settings) -> None:
    stores = open_stores(settings)
    lengths = [3, 1, 4, 1, 5, 9, 2, 6]

    for done in race(crew.extend_results, settings, (lengths,), (lengths,), (lengths,)):
        done.result()

    log = stores.results.segments(samples.JOB, 0, 100)
    assert [segment.number for segment in log] == list(range(24))
    assert [segment.first_row for segment in log[1:]] == [s.first_row + s.rows for s in log[:-1]]
    assert log[-1].first_row + log[-1].rows == 3 * sum(lengths)
