"""`AnswerLog`: fenced, all or none, one answer by a worker on an item, numbers that rise."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from cluster.domain.ids import JobId, ShardId, WorkerId
from cluster.domain.work import Answer, AnswerColumns, Partition, WorkerTotals
from cluster.errors import AlreadyAnswered, StaleEpoch
from cluster.ports import Stores
from tests.conformance import samples


def acquired(stores: Stores, number: int = 0, job_id: JobId = samples.JOB) -> Partition:
    stores.partitions.add([samples.partition(number, job_id=job_id)])
    return stores.partitions.acquire(job_id, number, ShardId(0))


def as_answers(columns: AnswerColumns, job_id: JobId = samples.JOB) -> list[Answer]:
    return [
        Answer(
            job_id=job_id,
            position=int(columns.positions[row]),
            worker_id=columns.worker_ids[columns.workers[row]],
            label=int(columns.labels[row]),
            purpose="audit" if columns.audit[row] else "label",
            price=float(columns.prices[row]),
            answered_at=float(columns.answered_at[row]),
            duration_s=float(columns.durations_s[row]),
        )
        for row in range(len(columns))
    ]


def test_answers_come_back_in_log_order_as_typed_columns(stores: Stores) -> None:
    fence = acquired(stores)
    answers = [
        samples.answer(5, "zoe", label=0),
        samples.answer(1, "ann", label=999, purpose="audit"),
        samples.answer(5, "ann"),
    ]

    ends = [
        stores.answers.append(fence, AnswerColumns.of(answers[:2])),
        stores.answers.append(fence, AnswerColumns.of(answers[2:])),
        stores.answers.append(fence, AnswerColumns.of([])),
    ]
    columns = stores.answers.read(samples.JOB, 0, 10)

    assert ends == [columns.seq[1], columns.seq[2], columns.seq[2]]
    assert as_answers(columns) == answers
    assert columns.seq.tolist() == sorted(columns.seq.tolist())
    assert {name: getattr(columns, name).dtype for name in AnswerColumns.__slots__[:-1]} == {
        "seq": np.dtype(np.int64),
        "positions": np.dtype(np.int64),
        "workers": np.dtype(np.int32),
        "labels": np.dtype(np.int16),
        "audit": np.dtype(np.bool_),
        "prices": np.dtype(np.float64),
        "answered_at": np.dtype(np.float64),
        "durations_s": np.dtype(np.float64),
    }


def test_a_log_without_answers_reads_as_empty_columns(stores: Stores) -> None:
    columns = stores.answers.read(JobId("unknown"), 0, 10)

    assert len(columns) == 0
    assert columns.worker_ids == ()
    assert columns.labels.dtype == np.int16


def test_what_a_worker_said_of_an_item_is_found(stores: Stores) -> None:
    answers = [samples.answer(5, "zoe", label=0), samples.answer(1, "ann", label=999)]
    stores.answers.append(acquired(stores), AnswerColumns.of(answers))
    zoe, ann, nobody = map(WorkerId, ("zoe", "ann", "nobody"))

    found = stores.answers.find(samples.JOB, [(5, zoe), (1, ann), (5, ann), (5, nobody)])

    assert found == (0, 999, None, None)
    assert stores.answers.find(JobId("unknown"), [(5, zoe)]) == (None,)
    assert stores.answers.find(samples.JOB, []) == ()


def test_many_answers_are_found_at_once(stores: Stores) -> None:
    # Given more answers than a statement may ask for one by one
    answers = [
        samples.answer(item, f"w{worker}", label=(item + worker) % 5)
        for item in range(1_000)
        for worker in range(11)
    ]
    stores.answers.append(acquired(stores), AnswerColumns.of(answers))

    # When all are looked for, and as many that were never given
    given = [(answer.position, answer.worker_id) for answer in answers]
    other = [(position, WorkerId("stranger")) for position, _ in given]
    found = stores.answers.find(samples.JOB, given + other)

    # Then each is found in its place
    assert found == (*(answer.label for answer in answers), *[None] * len(other))


def test_jobs_have_logs_of_their_own(stores: Stores) -> None:
    other = JobId("job-0002")
    stores.answers.append(acquired(stores), AnswerColumns.of([samples.answer(1)]))
    stores.answers.append(
        acquired(stores, job_id=other), AnswerColumns.of([samples.answer(1, job_id=other)])
    )

    assert as_answers(stores.answers.read(other, 0, 10), other) == [samples.answer(1, job_id=other)]


def test_paging_by_number_gives_every_answer_once(stores: Stores) -> None:
    fence = acquired(stores)
    stores.answers.append(
        fence, AnswerColumns.of([samples.answer(position) for position in range(10)])
    )

    seen: list[Answer] = []
    after = 0
    while len(page := stores.answers.read(samples.JOB, after, 3)):
        seen += as_answers(page)
        after = int(page.seq[-1])

    assert seen == [samples.answer(position) for position in range(10)]


def test_an_older_epoch_writes_nothing(stores: Stores) -> None:
    old = acquired(stores)
    new = stores.partitions.acquire(samples.JOB, 0, ShardId(1))

    with pytest.raises(StaleEpoch):
        stores.answers.append(old, AnswerColumns.of([samples.answer()]))
    with pytest.raises(StaleEpoch):
        stores.answers.append(old, AnswerColumns.of([]))

    assert len(stores.answers.read(samples.JOB, 0, 10)) == 0
    stores.answers.append(new, AnswerColumns.of([samples.answer()]))
    assert len(stores.answers.read(samples.JOB, 0, 10)) == 1


def test_an_epoch_nobody_was_given_writes_nothing(stores: Stores) -> None:
    fence = acquired(stores)

    for forged in (replace(fence, epoch=fence.epoch + 1), samples.partition(7)):
        with pytest.raises(StaleEpoch):
            stores.answers.append(forged, AnswerColumns.of([samples.answer(forged.first_position)]))

    assert len(stores.answers.read(samples.JOB, 0, 10)) == 0


def test_another_partitions_epoch_does_not_matter(stores: Stores) -> None:
    fence = acquired(stores, 0)
    acquired(stores, 1)
    acquired(stores, 1)

    stores.answers.append(fence, AnswerColumns.of([samples.answer()]))

    assert len(stores.answers.read(samples.JOB, 0, 10)) == 1


@pytest.mark.parametrize(
    "foreign",
    [samples.answer(1_000), samples.answer(-1)],
)
def test_a_partition_cannot_vouch_for_items_outside_it(stores: Stores, foreign: Answer) -> None:
    with pytest.raises(ValueError, match="is not in partition 0 of job job-0001"):
        stores.answers.append(acquired(stores), AnswerColumns.of([samples.answer(), foreign]))

    assert len(stores.answers.read(samples.JOB, 0, 10)) == 0


def test_a_second_answer_of_a_worker_to_an_item_voids_its_whole_batch(stores: Stores) -> None:
    fence = acquired(stores)
    stores.answers.append(
        fence, AnswerColumns.of([samples.answer(1, "ann"), samples.answer(2, "zoe")])
    )

    with pytest.raises(AlreadyAnswered) as error:
        stores.answers.append(
            fence,
            AnswerColumns.of(
                [
                    samples.answer(3, "new"),
                    samples.answer(1, "ann", label=0),
                    samples.answer(2, "ann"),
                ]
            ),
        )

    assert (error.value.position, error.value.worker_id) == (1, WorkerId("ann"))
    assert len(stores.answers.read(samples.JOB, 0, 10)) == 2


def test_a_batch_may_not_hold_two_answers_of_a_worker_to_an_item(stores: Stores) -> None:
    fence = acquired(stores)

    with pytest.raises(AlreadyAnswered):
        stores.answers.append(
            fence, AnswerColumns.of([samples.answer(1), samples.answer(1, purpose="audit")])
        )

    assert len(stores.answers.read(samples.JOB, 0, 10)) == 0


def test_a_voided_batch_leaves_no_trace_behind(stores: Stores) -> None:
    fence = acquired(stores)
    stores.answers.append(fence, AnswerColumns.of([samples.answer(1)]))
    with pytest.raises(AlreadyAnswered):
        stores.answers.append(fence, AnswerColumns.of([samples.answer(2), samples.answer(1)]))

    stores.answers.append(fence, AnswerColumns.of([samples.answer(2)]))

    columns = stores.answers.read(samples.JOB, 0, 10)
    assert columns.positions.tolist() == [1, 2]


def test_large_batches_with_many_workers_come_back_whole(stores: Stores) -> None:
    fence = acquired(stores)
    answers = [
        samples.answer(number % 2, f"worker-{number}", label=number % 3) for number in range(11_000)
    ]

    stores.answers.append(fence, AnswerColumns.of(answers))

    assert as_answers(stores.answers.read(samples.JOB, 0, 100_000)) == answers


def test_a_worker_without_answers_has_totals_of_nothing(stores: Stores) -> None:
    stores.answers.append(acquired(stores), AnswerColumns.of([samples.answer(1, "zoe")]))

    assert stores.answers.totals(WorkerId("ann")) == WorkerTotals()


def test_totals_count_a_workers_answers_over_appends_and_jobs(stores: Stores) -> None:
    # Given a worker that answers in two jobs, to audit too, and not in the order of time
    other = JobId("job-0002")
    fence = acquired(stores)
    stores.answers.append(
        fence, AnswerColumns.of([samples.answer(7, "ann"), samples.answer(7, "zoe")])
    )
    stores.answers.append(
        fence, AnswerColumns.of([samples.answer(3, "ann"), samples.answer(5, "ann", 0, "audit")])
    )
    stores.answers.append(
        acquired(stores, job_id=other), AnswerColumns.of([samples.answer(9, "ann", job_id=other)])
    )
    stores.answers.append(fence, AnswerColumns.of([]))

    # Then each answer counts once
    started = samples.answer(0).answered_at
    ann, zoe = (stores.answers.totals(WorkerId(name)) for name in ("ann", "zoe"))
    assert replace(ann, earned=0.0) == WorkerTotals(
        answers=4, first_answered_at=started + 3, last_answered_at=started + 9
    )
    assert ann.earned == pytest.approx(4 * samples.answer().price)
    assert zoe == WorkerTotals(
        answers=1,
        earned=samples.answer().price,
        first_answered_at=started + 7,
        last_answered_at=started + 7,
    )


def test_an_append_that_fails_counts_for_nobody(stores: Stores) -> None:
    # Given an answer that is stored
    old = acquired(stores)
    fence = stores.partitions.acquire(samples.JOB, 0, ShardId(1))
    stores.answers.append(fence, AnswerColumns.of([samples.answer(1)]))
    before = stores.answers.totals(WorkerId("ann"))

    # When appends fail: by a second answer to an item, inside the batch too, and by an old epoch
    with pytest.raises(AlreadyAnswered):
        stores.answers.append(
            fence,
            AnswerColumns.of([samples.answer(2), samples.answer(2, "new"), samples.answer(1)]),
        )
    with pytest.raises(AlreadyAnswered):
        stores.answers.append(fence, AnswerColumns.of([samples.answer(3), samples.answer(3)]))
    with pytest.raises(StaleEpoch):
        stores.answers.append(old, AnswerColumns.of([samples.answer(4)]))

    # Then the totals are as they were
    assert stores.answers.totals(WorkerId("ann")) == before
    assert stores.answers.totals(WorkerId("new")) == WorkerTotals()


def test_totals_of_one_worker_in_many_partitions_at_once_lose_nothing(stores: Stores) -> None:
    fences = [acquired(stores, number, JobId(f"job-{number}")) for number in range(4)]

    def append(fence: Partition) -> None:
        for n in range(10):
            position = fence.first_position + n
            given = [samples.answer(position, name, job_id=fence.job_id) for name in ("ann", "zoe")]
            stores.answers.append(fence, AnswerColumns.of(given))

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(append, fence) for fence in fences]:
            done.result()

    assert [stores.answers.totals(WorkerId(name)).answers for name in ("ann", "zoe")] == [40, 40]


def test_parallel_appends_to_many_partitions_lose_and_double_nothing(stores: Stores) -> None:
    # Given four partitions, and a reader that pages on while they are written
    fences = [acquired(stores, number) for number in range(4)]

    def append(fence: Partition) -> None:
        for batch in range(12):
            first = fence.first_position + 3 * batch
            stores.answers.append(
                fence, AnswerColumns.of([samples.answer(first + n) for n in range(3)])
            )

    # When all do so at once
    with ThreadPoolExecutor(4) as threads:
        appending = [threads.submit(append, fence) for fence in fences]
        seen = samples.follow(stores.answers, lambda: all(done.done() for done in appending))
        for done in appending:
            done.result()

    # Then the reader saw each answer exactly once
    expected = [fence.first_position + n for fence in fences for n in range(36)]
    assert sorted(seen) == expected


def test_once_a_partition_is_acquired_the_former_owner_adds_nothing(stores: Stores) -> None:
    # Given an owner that appends without pause to a partition it cannot fill
    stores.partitions.add([replace(samples.partition(), items=10**9)])
    old = stores.partitions.acquire(samples.JOB, 0, ShardId(0))

    def append_until_fenced() -> int:
        for position in itertools.count():
            try:
                stores.answers.append(old, AnswerColumns.of([samples.answer(position)]))
            except StaleEpoch:
                return position
        raise AssertionError

    with ThreadPoolExecutor(1) as threads:
        appending = threads.submit(append_until_fenced)
        while len(stores.answers.read(samples.JOB, 0, 1)) == 0 and not appending.done():
            pass

        # When another shard acquires the partition and counts what is there
        stores.partitions.acquire(samples.JOB, 0, ShardId(1))
        counted = len(stores.answers.read(samples.JOB, 0, 10**6))

        # Then that count is final
        assert appending.result() == counted
    assert len(stores.answers.read(samples.JOB, 0, 10**6)) == counted
