"""The life of a job: only the drawn steps, and an end that is final."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.domain.jobs import Amendment, Budget, Job, JobState, Progress
from cluster.errors import InvalidField, JobFinished
from cluster.jobs import advance, amend, expire, pause, request_cancel, resume
from tests.conformance import samples

STEPS = {
    (JobState.QUEUED, JobState.INGESTING),
    (JobState.INGESTING, JobState.PRELABELLING),
    (JobState.PRELABELLING, JobState.ASKING),
    (JobState.ASKING, JobState.LEARNING),
    (JobState.ASKING, JobState.PRELABELLING),
    (JobState.ASKING, JobState.EXPORTING),
    (JobState.LEARNING, JobState.PRELABELLING),
    (JobState.LEARNING, JobState.ASKING),
    (JobState.EXPORTING, JobState.COMPLETED),
}
ENDS = {JobState.CANCELLED, JobState.FAILED}
ACTIVE = [state for state in JobState if not state.is_terminal]


def in_state(state: JobState) -> Job:
    return replace(samples.job(), state=state)


def test_exactly_four_states_are_terminal() -> None:
    assert set(JobState) - set(ACTIVE) == {JobState.COMPLETED, JobState.EXPIRED, *ENDS}


@pytest.mark.parametrize("before", ACTIVE)
@pytest.mark.parametrize("after", list(JobState))
def test_a_job_takes_only_the_steps_of_its_life(before: JobState, after: JobState) -> None:
    job = in_state(before)

    if (before, after) in STEPS or after in ENDS:
        assert advance(job, after, now=9.0) == replace(job, state=after, updated_at=9.0)
    else:
        with pytest.raises(ValueError, match=f"from {before} to {after}"):
            advance(job, after, now=9.0)


@pytest.mark.parametrize("ended", [state for state in JobState if state.is_terminal])
def test_a_job_that_has_ended_never_changes(ended: JobState) -> None:
    for state in JobState:
        with pytest.raises(JobFinished, match=ended):
            advance(in_state(ended), state, now=9.0)
    for wish in (request_cancel, pause, resume):
        with pytest.raises(JobFinished, match=ended):
            wish(in_state(ended), now=9.0)
    with pytest.raises(JobFinished, match=ended):
        amend(in_state(ended), samples.amendment(), now=9.0)


def test_a_failure_keeps_its_reason() -> None:
    failed = advance(in_state(JobState.INGESTING), JobState.FAILED, now=9.0, failure="no rows")

    assert failed.failure == "no rows"


@pytest.mark.parametrize("state", ACTIVE)
def test_cancelling_is_a_request_that_leaves_the_state_alone(state: JobState) -> None:
    job = in_state(state)

    assert request_cancel(job, now=9.0) == replace(job, cancel_requested=True, updated_at=9.0)


@given(st.data())
def test_every_walk_reaches_an_end_from_wherever_it_stands(data: st.DataObject) -> None:
    # Given a walk of allowed steps
    job = in_state(JobState.QUEUED)
    for _ in range(data.draw(st.integers(0, 12))):
        following = sorted(after for before, after in STEPS if before == job.state)
        if not following:
            break
        job = advance(job, data.draw(st.sampled_from(following)), now=1.0)

    # Then completion is always in reach
    reachable = {job.state}
    for _ in JobState:
        reachable |= {after for before, after in STEPS if before in reachable}
    assert JobState.COMPLETED in reachable


@pytest.mark.parametrize("state", ACTIVE)
def test_a_job_is_paused_and_resumed_in_any_state(state: JobState) -> None:
    paused = pause(in_state(state), now=9.0)

    assert paused == replace(in_state(state), paused=True, updated_at=9.0)
    assert resume(paused, now=10.0) == replace(in_state(state), updated_at=10.0)


def test_an_amended_job_runs_by_the_new_terms_and_its_spec_stays() -> None:
    job = samples.job()
    terms = samples.amendment()

    amended = amend(job, terms, now=job.created_at + 1.0)

    assert (amended.agreed.weight, amended.agreed.budget) == (terms.weight, terms.budget)
    assert (amended.spec, job.agreed) == (job.spec, job.spec)


@pytest.mark.parametrize(
    ("budget", "complaint"),
    [
        (Budget(answers_max=39), "budget.answers_max: .* 40 answers are spent"),
        (Budget(cost_max=1.49), "budget.cost_max: .* 1.5 is spent"),
        (Budget(deadline_s=99.0), "budget.deadline_s: .* 100 seconds have passed"),
    ],
)
def test_no_limit_is_set_below_what_is_gone(budget: Budget, complaint: str) -> None:
    spent = replace(in_state(JobState.ASKING), progress=Progress(answers=40, cost=1.5))

    with pytest.raises(InvalidField, match=complaint):
        amend(spent, Amendment(weight=1.0, budget=budget), now=spent.created_at + 100.0)


def test_a_limit_may_be_just_what_is_gone() -> None:
    spent = replace(in_state(JobState.ASKING), progress=Progress(answers=40, cost=1.5))
    budget = Budget(answers_max=40, cost_max=1.5, deadline_s=100.0)
    terms = Amendment(weight=1.0, budget=budget)

    assert amend(spent, terms, now=spent.created_at + 100.0).agreed.budget == budget


@pytest.mark.parametrize("end", [JobState.COMPLETED, *sorted(ENDS)])
def test_a_job_expires_so_long_after_its_end_and_not_before(end: JobState) -> None:
    before = JobState.EXPORTING if end is JobState.COMPLETED else JobState.ASKING
    job = in_state(before)
    job = replace(job, spec=replace(job.spec, expires_after_s=100.0))

    ended = advance(job, end, now=9.0)

    assert (job.expires_at, ended.expires_at) == (None, 109.0)
    with pytest.raises(ValueError, match="does not expire before"):
        expire(ended, now=108.0)
    assert expire(ended, now=109.0) == replace(ended, state=JobState.EXPIRED, updated_at=109.0)


def test_a_job_without_a_time_or_without_an_end_never_expires() -> None:
    ended = advance(in_state(JobState.EXPORTING), JobState.COMPLETED, now=9.0)
    for job in (ended, in_state(JobState.ASKING)):
        with pytest.raises(ValueError, match="does not expire before"):
            expire(job, now=1e12)
