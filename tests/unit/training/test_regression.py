"""The watch over live versions: it may look as often as it likes, and still sees what is worse."""

import numpy as np
import numpy.typing as npt

from training.regression import Regression, Tally

Floats = npt.NDArray[np.float64]

LOOK_EVERY = 5
ITEMS = 250


def drawn(seed: int, before: float, after: float) -> tuple[Floats, Floats, Floats]:
    """Return what two versions, right on these shares, and noisy auditors say of items."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, ITEMS)

    def said(right: float) -> Floats:
        wrong = (labels + rng.integers(1, 3, ITEMS)) % 3
        chosen = np.where(rng.random(ITEMS) < right, labels, wrong)
        return np.where(np.arange(3) == chosen[:, None], 0.8, 0.1)

    return said(before), said(after), said(0.9)


def looks(seed: int, before: float, after: float) -> list[Regression]:
    """Judge again whenever some items more are audited."""
    first, second, audit = drawn(seed, before, after)
    weights = np.ones(ITEMS)
    return [
        Tally.of(first[:n], second[:n], audit[:n], weights[:n]).judged(0.95)
        for n in range(LOOK_EVERY, ITEMS + 1, LOOK_EVERY)
    ]


def test_a_version_that_is_no_worse_is_accused_in_at_most_one_case_of_twenty_at_any_look() -> None:
    accused = [any(look.is_worse for look in looks(seed, 0.8, 0.8)) for seed in range(200)]

    # 200 draws at 5 % are 10, and 17 or more in about one of forty such tests.
    assert sum(accused) <= 16


def test_a_version_that_is_worse_is_found_out() -> None:
    found = [looks(seed, 0.85, 0.65)[-1] for seed in range(50)]

    assert sum(each.is_worse for each in found) >= 45
    assert all(each.before_score > each.score for each in found if each.is_worse)


def test_a_better_version_is_never_accused() -> None:
    assert not any(look.is_worse for seed in range(50) for look in looks(seed, 0.65, 0.85))


def test_equal_predictions_and_no_items_say_nothing() -> None:
    first, _, audit = drawn(0, 0.8, 0.8)
    for rows in (0, ITEMS):
        same = Tally.of(first[:rows], first[:rows], audit[:rows], np.ones(rows)).judged(0.95)
        assert (same.is_worse, same.p_value, same.n) == (False, 1.0, rows)


def test_items_that_were_likelier_to_be_audited_count_less() -> None:
    """The version judged is worse on the doubted tenth alone, and better on as many others."""
    rng = np.random.default_rng(3)
    accused = {"plain": 0, "weighted": 0}
    for _ in range(50):
        kind = rng.choice(3, 200, p=[0.25, 1 / 12, 8 / 12])
        audit = np.tile([0.99, 0.01], (200, 1))
        right, wrong = np.array([0.9, 0.1]), np.array([0.1, 0.9])
        before = np.where((kind == 1)[:, None], wrong, right)
        after = np.where((kind == 0)[:, None], wrong, right)
        weights = np.where(kind == 0, 1 / 3, 1.0)
        plain = Tally.of(before, after, audit, np.ones(200)).judged(0.95)
        weighted = Tally.of(before, after, audit, weights).judged(0.95)
        accused["plain"] += plain.is_worse
        accused["weighted"] += weighted.is_worse

    assert accused["plain"] > 40
    assert accused["weighted"] <= 5
