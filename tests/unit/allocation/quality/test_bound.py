import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from allocation.quality.bound import log_wealth, lower
from allocation.quality.votes import Floats

JOBS = 1_000
RUIN = -np.log(0.05)


def scores_of(kind: str, rng: np.random.Generator, n: int) -> tuple[Floats, float, float]:
    """Scores with their true mean and floor."""
    if kind == "coin .95":
        return (rng.random(n) < 0.95).astype(np.float64), 0.95, 0.0
    if kind == "coin .5":
        return (rng.random(n) < 0.5).astype(np.float64), 0.5, 0.0
    if kind == "beta":
        return rng.beta(9.0, 1.0, n).astype(np.float64), 0.9, 0.0
    right = rng.random(n) < 0.9
    agrees = rng.random(n) < np.where(right, 0.8, 0.3)
    return ((agrees - 0.3) / 0.5).astype(np.float64), 0.9, -0.6


@pytest.mark.parametrize("kind", ["coin .95", "coin .5", "beta", "noisy audit"])
def test_read_at_every_step_it_is_wrong_in_at_most_one_job_of_twenty(kind: str) -> None:
    rng = np.random.default_rng(11)

    wrong = 0
    for _ in range(JOBS):
        scores, mean, floor = scores_of(kind, rng, 400)
        wrong += log_wealth(scores, mean, floor).max() >= RUIN

    assert wrong <= 0.05 * JOBS


@pytest.mark.parametrize("items", [60, 300])
def test_it_holds_for_draws_without_replacement_up_to_every_item(items: int) -> None:
    rng = np.random.default_rng(13)
    scores = np.ones(items)
    scores[: items // 10] = 0.0

    wrong = sum(log_wealth(rng.permutation(scores), 0.9).max() >= RUIN for _ in range(JOBS))

    assert wrong <= 0.05 * JOBS


def test_it_can_be_wrong_so_the_test_above_can_fail() -> None:
    rng = np.random.default_rng(12)

    wrong = sum(
        log_wealth((rng.random(400) < 0.95).astype(np.float64), 0.92).max() >= RUIN
        for _ in range(200)
    )

    assert wrong > 20


@pytest.mark.parametrize("right_of", [(97, 100), (100, 100), (950, 1_000), (995, 1_000)])
def test_width_is_close_to_clopper_pearson_which_may_be_read_only_once(
    right_of: tuple[int, int],
) -> None:
    right, n = right_of
    scores = np.ones(n)
    scores[np.linspace(0, n - 1, n - right).astype(int)] = 0.0

    bound = lower(scores, 0.95)

    once = float(beta.ppf(0.05, right, n - right + 1))
    assert bound <= once
    assert right / n - bound <= 2.2 * (right / n - once) + 0.005


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=60),
    st.floats(0.5, 0.99),
)
def test_more_scores_never_lower_it_and_more_confidence_never_raises_it(
    scores: list[float], confidence: float
) -> None:
    everything = np.array(scores)

    bound = lower(everything, confidence, floor=-0.5)

    assert -0.5 <= bound <= 1.0
    assert lower(everything[:-1], confidence, floor=-0.5) <= bound + 1e-9
    assert lower(everything, 0.995, floor=-0.5) <= bound + 1e-9


def test_nothing_is_known_without_scores() -> None:
    assert lower(np.zeros(0), 0.95) == 0.0


def test_scores_below_the_floor_are_refused() -> None:
    with pytest.raises(ValueError, match="floor"):
        lower(np.array([-0.1]), 0.95)
    with pytest.raises(ValueError, match="floor"):
        lower(np.array([np.nan]), 0.95)
