"""Items that were asked because the live model doubted them judge both models fairly."""

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from training.judging import STRATA, Drawn, thinned
from training.promotion import decide

ITEMS, AUDITED, ASKED = 1_600, 80, 900
WORKER_RIGHT = 0.79

Floats = npt.NDArray[np.float64]


def model(labels: npt.NDArray[np.int64], noise: Floats, skill: float) -> Floats:
    """Return probabilities (n, 2) of a model that sees two labels through noise."""
    signal = skill * (2 * labels - 1) + noise
    top = 1.0 / (1.0 + np.exp(-1.2 * signal))
    return np.stack([1.0 - top, top], axis=1)


def answered(labels: npt.NDArray[np.int64], times: int, rng: np.random.Generator) -> Floats:
    """Return the posterior (n, 2) of so many answers to each item."""
    right = rng.binomial(times, WORKER_RIGHT, len(labels)) * 2 - times
    log_odds = right * (2 * labels - 1) * np.log(WORKER_RIGHT / (1.0 - WORKER_RIGHT))
    top = 1.0 / (1.0 + np.exp(-log_odds))
    return np.stack([1.0 - top, top], axis=1)


def promotions(seeds: int, skill: float, *, fair: bool) -> int:
    """Count candidates promoted on audited items and on those the live model doubts most.

    The live model has a skill of 0.5; both find the same items hard. If not `fair`, every judged
    item counts alike.
    """
    promoted = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        labels, hard = rng.integers(0, 2, ITEMS), 0.6 * rng.normal(size=ITEMS)
        live = model(labels, hard + rng.normal(size=ITEMS), 0.5)
        candidate = model(labels, hard + rng.normal(size=ITEMS), skill)
        audited = rng.choice(ITEMS, AUDITED, replace=False)
        doubted = np.setdiff1d(live.max(axis=1).argsort(), audited, assume_unique=True)[:ASKED]
        posterior = answered(labels, 1, rng)
        posterior[audited] = answered(labels[audited], 3, rng)
        judged = np.union1d(audited, doubted)
        of_audit = np.isin(judged, audited)
        found = Drawn.by_sureness(live.max(axis=1), judged, of_audit) if fair else None
        verdict = decide(live[judged], candidate[judged], posterior[judged], drawn=found)
        promoted += verdict.promote
    return promoted


def test_an_equal_candidate_gains_nothing_by_what_the_live_model_doubts() -> None:
    # 60 draws at 2.5 % are 1.5 promotions, and 6 or more in one of 200 such tests.
    assert promotions(60, 0.5, fair=True) <= 5

    # Had every judged item counted alike, the gate would have been fooled
    assert promotions(60, 0.5, fair=False) >= 7


def test_a_better_candidate_is_known_by_what_was_asked_anyway() -> None:
    assert promotions(20, 1.2, fair=True) >= 16


def of(sureness: Floats, judged: npt.NDArray[np.int64]) -> Drawn:
    return Drawn.by_sureness(sureness, judged, np.ones(len(judged), np.bool_))


@given(
    sureness=st.lists(st.floats(0.5, 1.0), min_size=1, max_size=60),
    every=st.integers(1, 5),
)
def test_judged_items_stand_for_the_whole_of_their_strata(
    sureness: list[float], every: int
) -> None:
    judged = np.arange(0, len(sureness), every)

    found = of(np.array(sureness), judged).stands_for()

    assert (found >= 1.0).all()
    assert found.sum() <= len(sureness) + 1e-9
    if every == 1:
        assert (found == 1.0).all()


def test_a_model_that_knows_nothing_makes_one_stratum() -> None:
    found = of(np.full(100, 0.5), np.arange(0, 100, 4)).stands_for()

    assert STRATA > 1
    np.testing.assert_allclose(found, 4.0)


@given(rows=st.integers(0, 50), most=st.integers(1, 20))
def test_a_thinned_part_is_even_and_no_larger_than_asked(rows: int, most: int) -> None:
    kept = thinned(np.arange(rows), most)

    assert len(kept) <= most
    assert len(set(np.diff(kept))) <= 1
    assert (len(kept) == rows) == (rows <= most)
