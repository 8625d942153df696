import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from allocation.quality.bound import PRECISION, Draws, foreseen, lower, ruled_out

JOBS = 1_000


def drawn_from(kind: str, rng: np.random.Generator, n: int) -> tuple[Draws, float]:
    """Draws with replacement and their true mean."""
    if kind == "coin .95":
        return Draws.of((rng.random(n) < 0.95).astype(np.float64)), 0.95
    if kind == "coin .5":
        return Draws.of((rng.random(n) < 0.5).astype(np.float64)), 0.5
    if kind == "beta":
        return Draws.of(rng.beta(9.0, 1.0, n).astype(np.float64), variance=1e-4), 0.9
    agrees = rng.random(n) < np.where(rng.random(n) < 0.9, 0.8, 0.3)
    asked = rng.random(n)
    return Draws.of(np.where(agrees, 1.4, -0.6), floor=-0.6, variance=asked), 0.9


@pytest.mark.parametrize("kind", ["coin .95", "coin .5", "beta", "noisy audit"])
def test_read_at_every_step_it_is_wrong_in_at_most_one_job_of_twenty(kind: str) -> None:
    rng = np.random.default_rng(11)

    wrong = 0
    for _ in range(JOBS):
        draws, mean = drawn_from(kind, rng, 400)
        wrong += ruled_out(draws, mean, 0.95)

    assert wrong <= 0.05 * JOBS


def without_replacement(rng: np.random.Generator, items: int, wrong: int, seen: int) -> Draws:
    outcomes = np.ones(items)
    outcomes[:wrong] = 0.0
    drawn = rng.permutation(outcomes)[:seen]
    known, left = (drawn.cumsum() - drawn) / items, 1.0 - np.arange(seen) / items
    return Draws(
        scores=known + left * drawn,
        floor=known,
        variance=0.05 * left**2,
        outcomes=drawn,
        population=items,
        planned=seen,
    )


@pytest.mark.parametrize(("items", "seen"), [(60, 60), (300, 150)])
def test_drawn_without_replacement_it_holds_up_to_every_item(items: int, seen: int) -> None:
    rng = np.random.default_rng(13)

    wrong = sum(
        ruled_out(without_replacement(rng, items, items // 10, seen), 0.9, 0.95)
        for _ in range(JOBS)
    )

    assert wrong <= 0.05 * JOBS


def test_without_replacement_is_narrower_and_sure_once_all_is_seen() -> None:
    # Given every one of 200 items seen, 10 of them wrong
    rng = np.random.default_rng(14)
    draws = without_replacement(rng, 200, 10, 200)

    # When the bound knows that nothing is left, and when it does not
    known, unknown = lower(draws, 0.95), lower(Draws.of(draws.outcomes), 0.95)

    # Then it is the truth itself, and a bound
    assert known == pytest.approx(0.95, abs=0.001)
    assert known <= 0.95
    assert unknown < 0.93


def test_it_can_be_wrong_so_the_tests_above_can_fail() -> None:
    rng = np.random.default_rng(12)

    wrong = sum(
        ruled_out(Draws.of((rng.random(400) < 0.95).astype(np.float64)), 0.92, 0.95)
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

    bound = lower(Draws.of(scores), 0.95)

    once = float(beta.ppf(0.05, right, n - right + 1))
    assert bound <= once
    assert right / n - bound <= 2.0 * (right / n - once) + 0.005


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=60),
    st.floats(0.5, 0.99),
)
def test_more_scores_never_lower_it(scores: list[float], confidence: float) -> None:
    everything, planned = np.array(scores), 60

    bound = lower(Draws.of(everything, floor=-0.5, planned=planned), confidence)

    before = Draws.of(everything[:-1], floor=-0.5, planned=planned)
    assert 0.0 <= bound <= 1.0
    assert lower(before, confidence) <= bound + PRECISION


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60),
    st.floats(0.05, 0.95),
    st.floats(0.0, 0.05),
)
def test_a_mean_below_one_that_is_ruled_out_is_ruled_out_too(
    scores: list[float], mean: float, less: float
) -> None:
    draws = Draws.of(np.array(scores))

    assert ruled_out(draws, mean - less, 0.9) or not ruled_out(draws, mean, 0.9)


def test_nothing_is_known_without_scores() -> None:
    assert lower(Draws.of(np.zeros(0)), 0.95) == 0.0


def test_scores_below_the_floor_are_refused() -> None:
    with pytest.raises(ValueError, match="floor"):
        Draws.of(np.array([-0.1]))
    with pytest.raises(ValueError, match="floor"):
        Draws.of(np.array([np.nan]))


def test_more_draws_than_items_are_refused() -> None:
    with pytest.raises(ValueError, match="more draws"):
        Draws(
            scores=np.ones(3),
            floor=np.zeros(3),
            variance=np.ones(3),
            outcomes=np.ones(3),
            population=2,
            planned=3,
        )


def test_who_draws_more_until_it_is_proven_proves_no_more_than_is_true() -> None:
    # Given true means that are just below what is to be proven, 400 times
    rng, goal, broken = np.random.default_rng(5), 0.9, 0
    for _ in range(400):
        scores = (rng.random(640) < goal - 0.001).astype(np.float64)

        # When as many again are drawn each time it is not proven yet
        looks = (40, 80, 160, 320, 640)
        broken += any(lower(Draws.of(scores[:at], planned=40), 0.95) >= goal for at in looks)

    # Then it is ever proven by no more than the share that may be wrong
    assert broken / 400 <= 0.05


def test_more_draws_than_planned_prove_more() -> None:
    # Given scores that are nearly all right
    scores = np.where(np.arange(320) % 40 == 0, 0.0, 1.0)
    bounds = [lower(Draws.of(scores[:at], planned=40), 0.95) for at in (40, 80, 160, 320)]
    # Then each doubling is used nearly as well as if it had been the plan
    assert bounds == sorted(bounds)
    assert bounds[-1] > lower(Draws.of(scores), 0.95) - 0.02


class TestForeseen:
    def test_comes_close_to_the_bound_long_before_the_end(self) -> None:
        # Given 600 planned draws of which 30 are in, 20 times
        rng = np.random.default_rng(15)
        differences = []
        for _ in range(20):
            scores = np.where(rng.random(600) < 0.95, 1.0, 0.0)
            begun = Draws.of(scores[:30], planned=600)

            # When the end is foreseen from what the mean is believed to be
            end = lower(foreseen(begun, 0.95, 600), 0.95)

            differences.append(end - lower(Draws.of(scores), 0.95))

        # Then it is right but for the luck of the draw
        assert abs(np.mean(differences)) < 0.01
        assert np.std(differences) < 0.015

    def test_is_all_there_is_once_everything_is_drawn(self) -> None:
        draws = Draws.of(np.ones(20), planned=20)

        assert lower(foreseen(draws, 0.5, 20), 0.95) == lower(draws, 0.95)

    def test_never_draws_more_items_than_there_are(self) -> None:
        draws = without_replacement(np.random.default_rng(16), 50, 5, 40)

        assert len(foreseen(draws, 0.9, 90).scores) == 50
