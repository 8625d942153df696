import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from crowdkit.aggregation import BradleyTerry
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from allocation.quality.methods import DEFAULT_PAIR_METHOD, PAIR_METHODS
from allocation.quality.pairs import Pairs, agreement, bradley_terry, crowd_bradley_terry
from allocation.quality.votes import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Tournament:
    pairs: Pairs
    strength: Floats
    reliability: Floats


def tournament(
    seed: int, *, guessers: float, n_items: int = 40, comparisons: int = 1_200
) -> Tournament:
    """Comparisons by 30 workers, of whom a share says anything."""
    rng = np.random.default_rng(seed)
    strength = rng.normal(0.0, 1.5, n_items)
    reliability = np.where(rng.random(30) < guessers, 0.5, 0.97)
    left = rng.integers(n_items, size=comparisons)
    right = (left + rng.integers(1, n_items, comparisons)) % n_items
    workers = rng.integers(30, size=comparisons)
    won = rng.random(comparisons) < 1.0 / (1.0 + np.exp(strength[right] - strength[left]))
    won ^= rng.random(comparisons) > reliability[workers]
    winners, losers = np.where(won, left, right), np.where(won, right, left)
    return Tournament(
        Pairs.of(winners, losers, workers, n_items=n_items, n_workers=30), strength, reliability
    )


@st.composite
def any_pairs(draw: st.DrawFn) -> Pairs:
    n_items, n_workers, n = (
        draw(st.integers(2, 6)),
        draw(st.integers(1, 4)),
        draw(st.integers(0, 20)),
    )
    winners = draw(st.lists(st.integers(0, n_items - 1), min_size=n, max_size=n))
    steps = draw(st.lists(st.integers(1, n_items - 1), min_size=n, max_size=n))
    losers = [(winner + step) % n_items for winner, step in zip(winners, steps, strict=True)]
    workers = draw(st.lists(st.integers(0, n_workers - 1), min_size=n, max_size=n))
    return Pairs.of(winners, losers, workers, n_items=n_items, n_workers=n_workers)


def test_default_is_registered() -> None:
    assert DEFAULT_PAIR_METHOD in PAIR_METHODS


@pytest.mark.parametrize("method", PAIR_METHODS)
@settings(max_examples=30, deadline=None)
@given(pairs=any_pairs())
def test_every_method_is_defined_for_every_table(method: str, pairs: Pairs) -> None:
    fit = PAIR_METHODS[method](pairs)

    assert np.isfinite(fit.strength).all()
    assert np.abs(fit.strength).max() < 20.0
    assert ((fit.reliability > 0.0) & (fit.reliability <= 1.0)).all()


@settings(max_examples=30, deadline=None)
@given(pairs=any_pairs())
def test_the_density_never_falls(pairs: Pairs) -> None:
    history = crowd_bradley_terry(pairs, tolerance=-np.inf, iterations_max=20).objective

    gains = [after - before for before, after in itertools.pairwise(history)]
    assert min(gains, default=0.0) >= -1e-6


def test_plain_strengths_are_crowdkits_where_the_prior_says_little() -> None:
    # Given many comparisons of a few items
    pairs = tournament(1, guessers=0.0, n_items=8, comparisons=4_000).pairs
    frame = pd.DataFrame({"left": pairs.winners, "right": pairs.losers, "label": pairs.winners})

    # When both are fitted; below its own tolerance crowd-kit would end after two steps
    theirs = np.log(BradleyTerry(n_iter=500, tol=-1.0).fit_predict(frame).sort_index().to_numpy())
    ours = bradley_terry(pairs).strength

    # Then the strengths are the same up to a constant
    np.testing.assert_allclose(ours - ours.mean(), theirs - theirs.mean(), atol=0.05)


def test_guessers_are_found_and_cost_little() -> None:
    found = [tournament(seed, guessers=0.4) for seed in range(4)]

    def tau(method: str) -> float:
        return float(
            np.mean(
                [
                    kendalltau(each.strength, PAIR_METHODS[method](each.pairs).strength)[0]
                    for each in found
                ]
            )
        )

    assert tau("crowd-bradley-terry") > tau("bradley-terry") + 0.02
    fit = crowd_bradley_terry(found[0].pairs)
    assert np.corrcoef(fit.reliability, found[0].reliability)[0, 1] > 0.8


def test_agreement_counts_ties_half() -> None:
    pairs = Pairs.of([0, 1, 2], [1, 2, 0], [0, 0, 0], n_items=3, n_workers=1)

    assert agreement(pairs, np.array([1.0, 0.0, 0.0])) == pytest.approx(0.5)


def test_an_item_is_not_compared_with_itself() -> None:
    with pytest.raises(ValueError, match="itself"):
        Pairs.of([0], [0], [0], n_items=1, n_workers=1)
