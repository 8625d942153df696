"""A partition rebuilt from the log equals the one that lived through it."""

from dataclasses import replace

import numpy as np
import pytest

from allocation.log import joined, read_all
from allocation.ports import Submission
from allocation.service import ShardService
from allocation.state import PartitionState
from cluster.domain.ids import WorkerId
from cluster.domain.work import AnswerColumns
from cluster.errors import InvalidField
from cluster.ports import Stores
from tests.unit.allocation.test_campaign import answer
from tests.unit.allocation.worlds import (
    JOB,
    LABELS,
    ManualClock,
    audited,
    job,
    partition,
    shard,
    snapshot,
    stores_with,
    worker,
)

ITEMS = 30


def lived_in() -> tuple[Stores, ShardService]:
    """Return a shard with two partitions after some labels and audits."""
    stores = stores_with(job())
    stores.partitions.add([partition(ITEMS), partition(ITEMS, number=1, first=ITEMS)])
    service = shard(stores, ManualClock())
    service.recover()
    for number in range(2):
        published = audited(snapshot(ITEMS), [1, 2, 3])
        service.publish(replace(published, partition=number))
    for number in range(12):
        me = worker(f"w{number % 7}")
        sent = [
            Submission(token=offer.token, label=LABELS[offer.position % 3], duration_s=1.0)
            for offer in service.claim(me, 5)
        ]
        service.answer(me, sent)
    return stores, service


def states(service: ShardService) -> list[PartitionState]:
    return [found for _, found in sorted(service._state.partitions.items())]


def test_a_rebuilt_partition_equals_the_one_that_lived() -> None:
    stores, service = lived_in()
    reborn = shard(stores, ManualClock())
    reborn.recover()
    for number in range(2):
        reborn.publish(replace(audited(snapshot(ITEMS), [1, 2, 3]), partition=number))

    for lived, rebuilt in zip(states(service), states(reborn), strict=True):
        assert len(rebuilt.answers) == len(lived.answers) > 0
        assert rebuilt.lease_epoch == lived.lease_epoch + 1
        for purpose in ("label", "audit"):
            np.testing.assert_array_equal(
                rebuilt.answer_counts[purpose], lived.answer_counts[purpose]
            )
        assert lived.belief is not None
        assert rebuilt.belief is not None
        np.testing.assert_allclose(
            rebuilt.belief.log_posterior, lived.belief.log_posterior, atol=1e-3
        )
        for number in range(7):
            mine = worker(f"w{number}").worker_id
            assert [rebuilt.stored_label(mine, item) for item in range(ITEMS)] == [
                lived.stored_label(mine, item) for item in range(ITEMS)
            ]


def test_a_snapshot_of_another_shape_is_refused() -> None:
    _, service = lived_in()
    with pytest.raises(InvalidField):
        service.publish(snapshot(ITEMS + 1))
    with pytest.raises(InvalidField):
        service.publish(snapshot(ITEMS, labels=2))


def test_a_log_is_read_whole_page_by_page() -> None:
    stores, _ = lived_in()

    whole = stores.answers.read(JOB, 0, 10_000)
    paged = read_all(stores.answers, JOB, 0, page_answers=7)

    def rows(columns: AnswerColumns) -> list[tuple[int, int, str, int]]:
        return [
            (int(seq), int(position), columns.worker_ids[number], int(label))
            for seq, position, number, label in zip(
                columns.seq, columns.positions, columns.workers, columns.labels, strict=True
            )
        ]

    assert rows(paged) == rows(whole)
    assert len(whole) > 7
    assert len(joined([AnswerColumns.of([]), whole])) == len(whole)


def test_an_item_costs_few_bytes() -> None:
    stores = stores_with(job(labels=10))
    stores.partitions.add([partition(10_000)])
    service = shard(stores, ManualClock())
    service.recover()
    service.publish(snapshot(10_000, labels=10))
    (built,) = states(service)
    assert built.belief is not None

    arrays = [
        built.belief.log_posterior,
        built.belief.error,
        built.final,
        *built.answer_counts.values(),
        *built.lease_counts.values(),
    ]
    assert sum(array.nbytes for array in arrays) / 10_000 <= 64


def test_answers_that_are_not_counted_yet_are_told_from_those_that_are() -> None:
    # Given two partitions that lived, and a log that knows more: known workers, and a stranger
    stores, service = lived_in()
    log = read_all(stores.answers, JOB, 0)
    for state in states(service):
        first, known = state.partition.first_position, state.history(WorkerId("w0"))
        free = next(item for item in range(ITEMS) if item not in known)
        more = AnswerColumns.of(
            [
                answer(first + free, 0, "w0"),
                answer(first, 0, "stranger"),
                answer(5 * ITEMS, 0, "w0"),
            ]
        )

        # Then of all these its own new ones are missing, in their order, and of what it has none
        missing = state.missing(joined([log, more, log]))
        assert missing.positions.tolist() == [first + free, first]
        assert [missing.worker_ids[row] for row in missing.workers] == ["w0", "stranger"]
        assert len(state.missing(log)) == len(state.missing(AnswerColumns.of([]))) == 0
