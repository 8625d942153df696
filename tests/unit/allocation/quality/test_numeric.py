import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.quality import averages, random_effects
from allocation.quality.methods import DEFAULT_NUMERIC_METHOD, NUMERIC_METHODS
from allocation.quality.numeric import Numbers, NumericFit
from allocation.quality.votes import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Numbers with the truth (items,), biases and deviations (workers,) that made them."""

    numbers: Numbers
    truth: Floats
    bias: Floats
    deviation: Floats


def panel(
    seed: int,
    *,
    n_items: int = 200,
    n_workers: int = 20,
    answers_per_item: int = 5,
    difficulty: float = 0.0,
) -> Panel:
    """A crowd whose biases and spreads differ; `difficulty` spreads the items' log deviations."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(50.0, 10.0, n_items)
    bias = rng.normal(0.0, 3.0, n_workers)
    bias -= bias.mean()
    deviation = 6.0 * np.exp(rng.normal(0.0, 0.6, n_workers))
    workers = rng.random((n_items, n_workers)).argsort(axis=1)[:, :answers_per_item].ravel()
    items = np.repeat(np.arange(n_items), answers_per_item)
    hard = np.exp(rng.normal(0.0, difficulty, n_items))
    noise = rng.normal(size=len(items)) * deviation[workers] * hard[items]
    return Panel(
        table(items, workers, truth[items] + bias[workers] + noise), truth, bias, deviation
    )


def table(items: npt.ArrayLike, workers: npt.ArrayLike, values: npt.ArrayLike) -> Numbers:
    sizes = {"n_items": int(np.max(items)) + 1, "n_workers": int(np.max(workers)) + 1}
    return Numbers.of(items, workers, values, **sizes)


@st.composite
def any_numbers(draw: st.DrawFn) -> Numbers:
    """Small tables of every shape, empty ones and huge values included."""
    n_items, n_workers = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    n = draw(st.integers(0, 20))
    value = st.integers(-3, 3).map(float) | st.floats(-1e9, 1e9).map(lambda x: round(x, 3))
    return Numbers.of(
        draw(st.lists(st.integers(0, n_items - 1), min_size=n, max_size=n)),
        draw(st.lists(st.integers(0, n_workers - 1), min_size=n, max_size=n)),
        draw(st.lists(value, min_size=n, max_size=n)),
        n_items=n_items,
        n_workers=n_workers,
    )


def rmse(fit: NumericFit, truth: Floats) -> float:
    return float(np.sqrt(np.mean((fit.estimate - truth) ** 2)))


def covered(fit: NumericFit, truth: Floats) -> float:
    return float(((fit.lower <= truth) & (truth <= fit.upper)).mean())


def test_default_is_registered() -> None:
    assert DEFAULT_NUMERIC_METHOD in NUMERIC_METHODS


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_with_its_row(value: float) -> None:
    with pytest.raises(ValueError, match=r"values\[1\] is (nan|inf|-inf), not a finite number"):
        table([0, 0], [0, 1], [1.0, value])


@pytest.mark.parametrize(("items", "workers"), [([0, 2], [0, 0]), ([0, 0], [0, -1])])
def test_codes_out_of_range_are_refused(items: list[int], workers: list[int]) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        Numbers.of(items, workers, [1.0, 2.0], n_items=2, n_workers=1)


@pytest.mark.parametrize("method", NUMERIC_METHODS)
@settings(max_examples=30, deadline=None)
@given(numbers=any_numbers())
def test_every_method_is_defined_for_every_table(method: str, numbers: Numbers) -> None:
    fit = NUMERIC_METHODS[method](numbers)

    answered = numbers.answers_per_item() > 0
    assert np.isfinite(fit.estimate[answered]).all()
    assert np.isfinite(fit.standard_error[answered]).all()
    assert np.isnan(fit.estimate[~answered]).all()
    assert np.isinf(fit.standard_error[~answered]).all()
    assert np.isneginf(fit.lower[~answered]).all()
    assert (fit.lower[answered] <= fit.estimate[answered]).all()
    assert (fit.estimate[answered] <= fit.upper[answered]).all()
    assert (fit.deviation_lower <= fit.deviation).all()
    assert (fit.deviation <= fit.deviation_upper).all()
    assert np.isfinite(fit.bias).all()
    assert fit.bias.shape == fit.bias_error.shape == (numbers.n_workers,)


@pytest.mark.parametrize("method", NUMERIC_METHODS)
def test_the_unit_of_the_answers_does_not_matter(method: str) -> None:
    given_panel = panel(1)
    numbers = given_panel.numbers
    scaled = table(numbers.items, numbers.workers, 1e-3 * numbers.values + 7.0)

    before, after = NUMERIC_METHODS[method](numbers), NUMERIC_METHODS[method](scaled)

    np.testing.assert_allclose(after.estimate, 1e-3 * before.estimate + 7.0, rtol=1e-6)
    np.testing.assert_allclose(after.standard_error, 1e-3 * before.standard_error, rtol=1e-4)
    np.testing.assert_allclose(after.deviation, 1e-3 * before.deviation, rtol=1e-4)


@pytest.mark.parametrize("method", NUMERIC_METHODS)
def test_answers_that_agree_are_the_truth_without_error(method: str) -> None:
    fit = NUMERIC_METHODS[method](table([0, 0, 1, 1], [0, 1, 0, 2], [4.0, 4.0, -1.0, -1.0]))

    np.testing.assert_array_equal(fit.estimate, [4.0, -1.0])
    np.testing.assert_array_equal(fit.standard_error, [0.0, 0.0])
    np.testing.assert_array_equal(fit.upper, [4.0, -1.0])
    np.testing.assert_array_equal(fit.deviation, np.zeros(3))


@pytest.mark.parametrize("method", NUMERIC_METHODS)
def test_a_single_answer_is_the_estimate_of_its_item(method: str) -> None:
    fit = NUMERIC_METHODS[method](table([0, 1, 2], [0, 0, 0], [1.0, 5.0, 9.0]))

    np.testing.assert_allclose(fit.estimate, [1.0, 5.0, 9.0])
    assert (fit.standard_error > 1.0).all()


class TestAverages:
    def test_medians_lie_in_the_middle_of_the_weight(self) -> None:
        numbers = table([0, 0, 0, 1, 1, 2], [0, 1, 2, 0, 1, 2], [3.0, 1.0, 9.0, 2.0, 4.0, 8.0])

        np.testing.assert_allclose(averages.middle(numbers, np.ones(3)), [3.0, 3.0, 8.0])
        np.testing.assert_allclose(
            averages.middle(numbers, np.array([1.0, 1.5, 9.0])), [9.0, 4.0, 8.0]
        )
        np.testing.assert_allclose(averages.median(numbers).estimate, [3.0, 3.0, 8.0])

    @settings(max_examples=50, deadline=None)
    @given(numbers=any_numbers())
    def test_median_is_numpys(self, numbers: Numbers) -> None:
        found = averages.median(numbers).estimate

        for item in np.unique(numbers.items):
            assert found[item] == pytest.approx(np.median(numbers.values[numbers.items == item]))

    def test_a_worker_far_from_the_medians_weighs_less(self) -> None:
        rng = np.random.default_rng(2)
        values = rng.normal(0.0, [1.0, 1.0, 1.0, 20.0], (100, 4))
        items, workers = np.indices(values.shape)
        numbers = table(items.ravel(), workers.ravel(), values.ravel())

        weights = averages.precision(numbers)

        assert weights[3] < 0.02 * weights[:3].min()
        assert rmse(averages.weighted_mean(numbers), np.zeros(100)) < 0.8
        assert rmse(averages.mean(numbers), np.zeros(100)) > 3.0


class TestRandomEffects:
    def test_bias_and_deviation_are_recovered_within_their_errors(self) -> None:
        # Given a crowd who answered 300 items each
        given_panel = panel(3, n_items=1_000, n_workers=20, answers_per_item=6)

        # When the model is fitted
        fit = random_effects.fit(given_panel.numbers)

        # Then biases and deviations are those of the workers, as surely as it says
        assert np.corrcoef(fit.bias, given_panel.bias)[0, 1] > 0.98
        assert np.abs(fit.bias - given_panel.bias).max() < 1.5
        assert np.abs(np.median(np.log(fit.deviation / given_panel.deviation))) < 0.05
        within = (fit.deviation_lower < given_panel.deviation) & (
            given_panel.deviation < fit.deviation_upper
        )
        assert within.mean() > 0.8
        assert (np.abs(fit.bias - given_panel.bias) < 3.0 * fit.bias_error).mean() > 0.9

    @pytest.mark.parametrize("seed", range(3))
    def test_it_beats_the_averages_where_workers_differ(self, seed: int) -> None:
        given_panel = panel(seed, n_workers=30, difficulty=0.5)

        errors = {
            name: rmse(method(given_panel.numbers), given_panel.truth)
            for name, method in NUMERIC_METHODS.items()
        }

        assert errors["random-effects"] < 0.85 * errors["mean"]
        assert errors["random-effects"] < 0.85 * errors["median"]

    def test_where_workers_are_alike_it_costs_little(self) -> None:
        rng = np.random.default_rng(4)
        values = rng.normal(0.0, 1.0, (400, 6))
        items, workers = np.indices(values.shape)
        numbers = table(items.ravel(), workers.ravel(), values.ravel())

        fit = random_effects.fit(numbers)

        assert rmse(fit, np.zeros(400)) < 1.05 * rmse(averages.mean(numbers), np.zeros(400))

    @pytest.mark.parametrize("difficulty", [0.0, 0.5])
    @pytest.mark.parametrize("answers_per_item", [3, 10])
    def test_intervals_hold_as_often_as_they_say(
        self, difficulty: float, answers_per_item: int
    ) -> None:
        shares = []
        for seed in range(4):
            made = panel(seed, answers_per_item=answers_per_item, difficulty=difficulty)
            shares.append(covered(random_effects.fit(made.numbers), made.truth))

        assert 0.92 < np.mean(shares) < 0.99

    @settings(max_examples=40, deadline=None)
    @given(numbers=any_numbers())
    def test_the_evidence_bound_never_falls(self, numbers: Numbers) -> None:
        history = random_effects.fit(numbers, tolerance=-np.inf, iterations_max=30).objective

        gains = [after - before for before, after in itertools.pairwise(history)]
        assert min(gains, default=0.0) >= -1e-7 * max(1.0, abs(history[0]) if history else 0.0)

    def test_truths_move_with_the_bias_taken_from_the_crowd(self) -> None:
        # Given a crowd of whom the least exact third says 30 too much
        rng = np.random.default_rng(8)
        bias, deviation = np.repeat([30.0, 0.0, 0.0], 3), np.repeat([9.0, 1.0, 1.0], 3)
        values = rng.normal(bias, deviation, (300, 9))
        items, workers = np.indices(values.shape)

        # When the model has hardly begun
        fit = random_effects.fit(
            table(items.ravel(), workers.ravel(), values.ravel()), iterations_max=1
        )

        # Then biases are about the mean of the crowd, and truths and biases make up the answers
        assert fit.bias.mean() == pytest.approx(0.0, abs=1e-9)
        assert fit.estimate.mean() + fit.bias[3:].mean() == pytest.approx(0.0, abs=1.0)

    def test_one_wild_answer_moves_nothing_far(self) -> None:
        given_panel = panel(5)
        numbers = given_panel.numbers
        values = numbers.values.copy()
        values[7] = 1e9

        wild = random_effects.fit(table(numbers.items, numbers.workers, values))

        assert np.flatnonzero(wild.set_aside).tolist() == [7]
        assert rmse(wild, given_panel.truth) < 1.1 * rmse(
            random_effects.fit(numbers), given_panel.truth
        )

    def test_two_answers_that_disagree_wildly_are_both_kept(self) -> None:
        numbers = panel(5).numbers
        far = float(numbers.values.max()) + 1e6

        fit = random_effects.fit(
            table(
                [*numbers.items, 200, 200],
                [*numbers.workers, 0, 1],
                [*numbers.values, 0.0, far],
            )
        )

        assert not fit.set_aside.any()
        assert 0.0 < fit.estimate[200] < far
        assert fit.standard_error[200] > 0.05 * far

    def test_a_worker_with_one_answer_is_taken_for_an_average_one(self) -> None:
        # Given a crowd of twenty, and one more who has answered once, exactly in the middle
        numbers = panel(6).numbers
        usual = random_effects.fit(numbers)

        # When the newcomer's answer joins
        fit = random_effects.fit(
            table(
                [*numbers.items, 0],
                [*numbers.workers, 20],
                [*numbers.values, float(usual.estimate[0])],
            )
        )

        # Then it neither counts as perfect nor as nothing
        assert 0.5 * np.median(usual.deviation) < fit.deviation[20] < 2.0 * usual.deviation.max()
        assert fit.standard_error[0] < usual.standard_error[0]
        assert fit.standard_error[0] > 0.5 * usual.standard_error[0]
        assert fit.bias_error[20] > 2.0 * fit.bias_error[:20].mean()
