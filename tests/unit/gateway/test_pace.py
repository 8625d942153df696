"""How long a stage will take, told only where it can be."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.domain.jobs import Amendment, Budget, Job, JobState, Progress
from serve_apps.gateway.pace import SPAN_MIN_S, WINDOW_S, Pace
from tests.conformance import samples

START = 1_000_000.0


def prelabelling(done: int, items: int = 1_000) -> Job:
    progress = Progress(items=items, prelabelled=done)
    return replace(samples.job(), state=JobState.PRELABELLING, progress=progress)


def asking(answers: int, open_questions: int) -> Job:
    progress = Progress(items=1_000, answers=answers, open_questions=open_questions)
    terms = Amendment(weight=1.0, budget=Budget())
    return replace(samples.job(), state=JobState.ASKING, progress=progress, amendment=terms)


def ingesting(read_share: float | None) -> Job:
    progress = Progress(items=10, read_share=read_share)
    return replace(samples.job(), state=JobState.INGESTING, progress=progress)


def learning(began_at: float | None, training_s: float | None) -> Job:
    progress = Progress(items=10, learning_since=began_at, training_s=training_s)
    return replace(samples.job(), state=JobState.LEARNING, progress=progress)


def told(*looks: tuple[float, Job]) -> float | None:
    pace, eta_s = Pace(), None
    for after_s, job in looks:
        eta_s = pace.eta_s(job, START + after_s)
    return eta_s


def test_a_steady_stage_takes_what_is_left_at_its_pace() -> None:
    assert told((0.0, prelabelling(100)), (10.0, prelabelling(200))) == pytest.approx(80.0)
    assert told((0.0, asking(50, 90)), (10.0, asking(70, 60))) == pytest.approx(30.0)
    assert told((0.0, ingesting(0.1)), (10.0, ingesting(0.3))) == pytest.approx(35.0)


def test_learning_takes_as_long_as_the_last_time() -> None:
    job = learning(START, 60.0)
    assert told((0.0, job)) == pytest.approx(60.0)
    assert told((0.0, job), (45.0, job)) == pytest.approx(15.0)


def test_of_learning_nobody_says_more_than_was_measured_and_nothing_once_that_is_over() -> None:
    assert told((0.0, learning(START + 5.0, 60.0))) == pytest.approx(60.0)
    assert told((60.0, learning(START, 60.0))) is None


def test_only_the_last_minute_counts() -> None:
    # Given a stage that was slow for long and is fast now
    slow = [(float(at), prelabelling(at)) for at in range(0, 200, 10)]
    fast = [(200.0 + at, prelabelling(200 + 10 * at)) for at in range(0, 80, 10)]

    # Then the pace is the new one
    assert told(*slow, *fast) == pytest.approx((1_000 - 900) / 10.0)


@pytest.mark.parametrize(
    "looks",
    [
        [(0.0, prelabelling(10))],
        [(0.0, prelabelling(10)), (SPAN_MIN_S / 2, prelabelling(90))],
        [(0.0, prelabelling(10)), (10.0, prelabelling(10))],
        [(0.0, prelabelling(10)), (10.0, replace(prelabelling(90), paused=True))],
        [(0.0, prelabelling(900)), (10.0, asking(50, 10))],
        [(0.0, prelabelling(900)), (10.0, prelabelling(100))],
        [
            (0.0, replace(prelabelling(10), state=JobState.EXPORTING)),
            (10.0, replace(prelabelling(90), state=JobState.EXPORTING)),
        ],
        [(0.0, ingesting(None)), (10.0, ingesting(None))],
        [(0.0, ingesting(0.2)), (10.0, ingesting(0.2))],
        [(10.0, learning(START, None))],
        [(10.0, learning(None, 60.0))],
        [(10.0, replace(learning(START, 60.0), paused=True))],
    ],
    ids=[
        *("first look", "too soon", "no pace", "paused", "new stage", "begun anew", "untold"),
        *("an ingest that does not tell", "an ingest that stands still"),
        *("a first training", "nobody waits for a model", "learning, paused"),
    ],
)
def test_nothing_is_told_that_nobody_knows(looks: list[tuple[float, Job]]) -> None:
    assert told(*looks) is None


def test_asking_ends_at_the_deadline() -> None:
    limited = Amendment(weight=1.0, budget=Budget(deadline_s=100.0))
    before, after = (
        replace(asking(answers, 9_000), created_at=START - 80.0, amendment=limited)
        for answers in (0, 10)
    )

    assert told((0.0, before), (10.0, after)) == pytest.approx(10.0)


@given(st.lists(st.tuples(st.floats(0.0, 30.0), st.integers(0, 50)), max_size=300))
def test_an_estimate_is_never_negative_and_memory_is_bounded(
    steps: list[tuple[float, int]],
) -> None:
    pace, now, done = Pace(), START, 0
    for seconds, more in steps:
        now, done = now + seconds, done + more
        eta_s = pace.eta_s(prelabelling(done), now)
        assert eta_s is None or eta_s >= 0.0
        assert len(pace._marks) <= 120
        assert pace._marks[0].at >= now - WINDOW_S
