import numpy as np
import pytest

from allocation.paces import ANSWER_S, LONG, seconds_of
from cluster.domain.ids import WorkerId
from cluster.domain.work import Answer, AnswerColumns
from tests.unit.allocation.worlds import JOB

FAST, SLOW, NEW = WorkerId("fast"), WorkerId("slow"), WorkerId("new")


def answers(*durations: tuple[WorkerId, float]) -> AnswerColumns:
    return AnswerColumns.of(
        [
            Answer(
                job_id=JOB,
                position=position,
                worker_id=worker_id,
                label=0,
                purpose="label",
                price=0.0,
                answered_at=0.0,
                duration_s=duration_s,
            )
            for position, (worker_id, duration_s) in enumerate(durations)
        ]
    )


def test_who_has_answered_is_told_apart_and_a_newcomer_is_like_the_crowd() -> None:
    given = answers(*[(FAST, 2.0)] * 40, *[(SLOW, 20.0)] * 39)

    fast, slow, new, anybody = seconds_of(given, (FAST, SLOW, NEW))

    assert 2.0 <= fast < 2.2
    assert 17.0 < slow < 20.0
    assert new == anybody == 2.0


def test_few_answers_say_little_and_none_of_them_too_much() -> None:
    given = answers(*[(FAST, 10.0)] * 20, (SLOW, 36_000.0))

    slow, _ = seconds_of(given, (SLOW,))

    assert slow == pytest.approx((LONG * 10.0 + 4 * 10.0) / 5)


@pytest.mark.parametrize("given", [answers(), answers((FAST, 0.0))])
def test_where_nobody_told_how_long_it_took_all_are_alike(given: AnswerColumns) -> None:
    np.testing.assert_array_equal(seconds_of(given, (FAST, NEW)), [ANSWER_S] * 3)
