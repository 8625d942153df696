"""What a job does about questions that nobody takes, and when."""

import numpy as np
import pytest

from allocation.patience import FIRST_TIMES, GONE_S, RELAXED_TIMES, Patience, is_exhausted
from allocation.quality.votes import Bools
from cluster.domain.ids import JobId, WorkerId
from cluster.domain.work import Answer, AnswerColumns, Purpose

WAIT_S, CROWD_WAIT_S = 10.0, 100.0


def yes() -> bool:
    return True


def no() -> bool:
    return False


@pytest.fixture
def patience() -> Patience:
    """Return the patience of a job that was last answered at 0."""
    found = Patience(WAIT_S, CROWD_WAIT_S, now=-5.0)
    found.note_answers(0.0)
    return found


def test_anybody_is_taken_once_the_better_ones_have_not_come_for_long(patience: Patience) -> None:
    assert patience.move(WAIT_S - 1, choosy=True, exhausted=no) == "wait"
    assert patience.move(WAIT_S, choosy=True, exhausted=no) == "relax"


def test_answers_that_shards_have_count_before_they_are_read(patience: Patience) -> None:
    for at, answers in ((1.0, 40), (5.0, 40), (7.0, 44)):
        patience.hear(answers, at)

    assert patience.move(7.0 + WAIT_S - 1, choosy=True, exhausted=no) == "wait"
    assert patience.move(7.0 + WAIT_S, choosy=True, exhausted=no) == "relax"


def test_a_job_gives_up_only_where_everybody_has_answered_everything(patience: Patience) -> None:
    assert patience.move(WAIT_S, choosy=False, exhausted=yes) == "end added audits"
    assert patience.move(CROWD_WAIT_S, choosy=False, exhausted=yes) == "give up"
    assert patience.move(CROWD_WAIT_S, choosy=False, exhausted=no) == "end added audits"


def test_who_has_not_had_an_answer_yet_waits_longer() -> None:
    new = Patience(WAIT_S, CROWD_WAIT_S, now=0.0)

    assert new.move(WAIT_S, choosy=True, exhausted=no) == "wait"
    assert new.move(FIRST_TIMES * WAIT_S, choosy=True, exhausted=no) == "relax"


def test_a_job_is_choosy_again_after_a_while(patience: Patience) -> None:
    patience.move(WAIT_S, choosy=True, exhausted=no)

    assert not patience.recovers(2 * WAIT_S)
    assert patience.recovers(WAIT_S + RELAXED_TIMES * WAIT_S)


@pytest.mark.parametrize(
    ("labels", "audits", "paused", "reviewed", "exhausted"),
    [
        ([1, 0, 0], [0, 0, 0], (), False, True),  # ann and bob have both answered item 0
        ([0, 1, 0], [0, 0, 0], (), False, False),  # bob might label item 1
        ([0, 1, 0], [0, 0, 0], ("bob",), False, True),
        ([0, 0, 0], [0, 1, 0], (), False, False),  # or audit it
        ([0, 1, 0], [0, 0, 0], (), True, True),  # but not where he is a reviewer: ann has
        ([0, 0, 0], [0, 0, 1], (), True, False),
        ([1, 0, 0], [0, 0, 0], ("ann", "bob"), False, False),  # nobody is known
    ],
)
def test_a_crowd_is_exhausted_when_nobody_known_can_answer_anything(
    labels: list[int], audits: list[int], paused: tuple[str, ...], reviewed: bool, exhausted: bool
) -> None:
    given = AnswerColumns.of(
        [given_by("ann", 0), given_by("ann", 1), given_by("bob", 0, purpose="audit")]
    )

    found = is_exhausted(
        given,
        frozenset(map(WorkerId, paused)),
        labels=np.array(labels, dtype=np.bool_),
        audits=np.array(audits, dtype=np.bool_),
        reviewed=reviewed,
    )

    assert found is exhausted


def test_who_has_left_long_before_the_others_is_not_waited_for() -> None:
    # Given one who did an item and left, and another who has done all there are since
    given = AnswerColumns.of([given_by("bob", 0), given_by("ann", 0, at=2 * GONE_S)])
    wanted, nothing = np.array([True, False]), np.zeros(2, dtype=np.bool_)
    more = np.array([True, True])

    def exhausted(labels: Bools) -> bool:
        return is_exhausted(given, frozenset(), labels=labels, audits=nothing, reviewed=False)

    assert exhausted(wanted)
    assert not exhausted(more)


def given_by(worker_id: str, position: int, purpose: Purpose = "label", at: float = 0.0) -> Answer:
    return Answer(
        job_id=JobId("job"),
        position=position,
        worker_id=WorkerId(worker_id),
        label=0,
        purpose=purpose,
        price=0.0,
        answered_at=at,
        duration_s=1.0,
    )
