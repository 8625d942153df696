"""Jobs run to their end: what they promise and certify is what they have reached."""

import pytest

from benchmarks.certificate_whole import KINDS, WholeJob, whole_jobs

POINT = 0.01


@pytest.fixture(scope="module")
def jobs() -> list[WholeJob]:
    """Return jobs of every kind; the first four once ended 2 to 11 points below their goals."""
    return [job for seed in (0, 18, 30, 1002, 4, 7, 11) for job in whole_jobs(seed)]


def test_no_job_ends_far_below_its_goal(jobs: list[WholeJob]) -> None:
    assert {job.kind for job in jobs} == set(KINDS)
    assert {job.reviewed for job in jobs} == {True, False}
    for job in jobs:
        assert job.reached > job.goal - 2 * POINT, job


def test_no_job_ends_certified_above_the_truth(jobs: list[WholeJob]) -> None:
    for job in jobs:
        assert 0.0 < job.certified <= job.reached, job
