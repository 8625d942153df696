import numpy as np
import pytest

from allocation.quality.bound import lower, ruled_out
from allocation.quality.control import Scores, controlled
from allocation.quality.drawing import Drawing
from allocation.quality.votes import Codes, Floats

ITEMS, AUDITED, JOBS = 2_000, 150, 500


def labels(rng: np.random.Generator, beliefs: str) -> tuple[Floats, Floats]:
    """Beliefs in labels, and whether each is right, (ITEMS,) each."""
    chance = rng.choice([0.6, 0.999], ITEMS, p=[0.2, 0.8])
    right = (rng.random(ITEMS) < chance).astype(np.float64)
    return {
        "true": chance,
        "reversed": 1.5 - chance,
        "overconfident": chance**0.1,
        "all the same": np.full(ITEMS, 0.9),
    }[beliefs], right


def alike(rows: Codes) -> Drawing:
    """A draw in which all items were as likely."""
    return Drawing.of(rows, np.ones(ITEMS))


def audit(
    rng: np.random.Generator, right: Floats, weights: Floats, *, noise: float
) -> tuple[Scores, Drawing]:
    """Scores of a random sample, blurred by `noise`, and how it was drawn."""
    sample = (rng.exponential(size=ITEMS) / weights).argsort()[:AUDITED]
    blur = noise * rng.choice([-1.0, 1.0], AUDITED)
    scores = Scores(
        values=right[sample] + blur,
        floor=np.full(AUDITED, -noise),
        variance=np.full(AUDITED, noise**2),
    )
    return scores, Drawing.of(sample, weights)


@pytest.mark.parametrize("beliefs", ["true", "reversed", "overconfident", "all the same"])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("doubtful", [1.0, 4.0])
def test_read_at_every_step_it_holds_whatever_is_believed_and_drawn(
    beliefs: str, doubtful: float, *, exact: bool
) -> None:
    # Given items in doubt that are drawn as often as others, or more often
    rng = np.random.default_rng(21)

    # When the truth is tested at every step
    wrong = 0
    for _ in range(JOBS):
        believed, right = labels(rng, beliefs)
        weights = np.where(believed < np.median(believed), doubtful, 1.0)
        scores, drawing = audit(rng, right, weights, noise=0.0 if exact else 0.5)
        draws = controlled(scores, drawing, believed, planned=AUDITED, exact=exact)
        wrong += ruled_out(draws, float(right.mean()), 0.95)

    assert wrong <= 0.05 * JOBS


def test_a_sample_that_follows_belief_breaks_it_so_the_test_above_can_fail() -> None:
    rng = np.random.default_rng(22)

    wrong = 0
    for _ in range(100):
        believed, right = labels(rng, "true")
        sure = np.flatnonzero(believed > 0.9)[:AUDITED]
        none = np.zeros(len(sure))
        scores = Scores(values=right[sure], floor=none, variance=none)
        same = np.full(ITEMS, 0.9)
        draws = controlled(scores, alike(sure), same, planned=AUDITED, exact=True)
        wrong += ruled_out(draws, float(right.mean()), 0.95)

    assert wrong > 50


def test_true_beliefs_raise_the_bound_and_reversed_ones_cost_little() -> None:
    # Given the same audits, 100 times, under beliefs that are true, reversed, or tell nothing
    rng = np.random.default_rng(23)
    bounds = []
    for _ in range(100):
        true, right = labels(rng, "true")
        sample, none = rng.permutation(ITEMS)[:AUDITED], np.zeros(AUDITED)
        scores = Scores(values=right[sample], floor=none, variance=none)

        # When each is bounded
        bounds.append(
            [
                lower(controlled(scores, alike(sample), b, planned=AUDITED, exact=True), 0.95)
                for b in (true, 1.5 - true, np.full(ITEMS, true.mean()))
            ]
        )

    # Then truth helps, and untruth harms little, for the slope is learned
    helped, harmed, plain = np.mean(bounds, axis=0)
    assert helped > plain + 0.005
    assert harmed > plain - 0.03


def test_the_slope_knows_nothing_of_the_score_it_is_applied_to() -> None:
    # Given two audits that differ in their last score alone
    believed = np.linspace(0.5, 1.0, 20)
    scores = 1.5 - believed
    none = np.zeros(20)
    other = scores.copy()
    other[-1] = 0.0

    # When their beliefs are taken off
    one, two = (
        controlled(
            Scores(values=values, floor=none, variance=none),
            Drawing.of(np.arange(20), np.ones(40)),
            np.repeat(believed, 2),
            planned=20,
            exact=False,
        )
        for values in (scores, other)
    )

    # Then all that was taken off is the same
    assert np.allclose(one.scores - scores, two.scores - other)
    assert np.allclose(one.floor, two.floor)
    assert np.allclose(one.variance, two.variance)
