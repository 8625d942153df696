"""Who copies is found by shared mistakes; who merely errs on the same hard items is not."""

import numpy as np
import pytest

from allocation.quality import opinion_pool
from allocation.quality.collusion import FALSE_ALARM, Ring, rings
from allocation.quality.votes import Votes

ITEMS, WORKERS, ANSWERS, LABELS = 600, 20, 5, 4


def crowd(seed: int, *, ring: int = 0, hard_share: float = 0.0) -> Votes:
    """Return answers of workers who are right in eight of ten; the first `ring` copy one key.

    On hard items everybody tends to one and the same wrong label.
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(LABELS, size=ITEMS)
    wrong = (truth + rng.integers(1, LABELS, size=ITEMS)) % LABELS
    items = np.repeat(np.arange(ITEMS), ANSWERS)
    workers = np.concatenate([rng.permutation(WORKERS)[:ANSWERS] for _ in range(ITEMS)])
    right = rng.random(len(items)) < np.where(rng.random(ITEMS) < hard_share, 0.5, 0.8)[items]
    any_wrong = (truth[items] + rng.integers(1, LABELS, size=len(items))) % LABELS
    mistaken = np.where(rng.random(len(items)) < 0.5, wrong[items], any_wrong)
    labels = np.where(right, truth[items], mistaken)
    key = rng.integers(LABELS, size=ITEMS)
    return Votes.of(
        items,
        workers,
        np.where(workers < ring, key[items], labels),
        n_items=ITEMS,
        n_workers=WORKERS,
        n_labels=LABELS,
    )


def found(votes: Votes) -> tuple[Ring, ...]:
    opinions = opinion_pool.learn(votes)
    labels = opinion_pool.believe(votes, opinions).argmax(axis=1)
    return rings(votes, labels, opinions.log_pooled)


def test_copiers_are_found_with_their_evidence() -> None:
    # Given three of twenty workers who copy one answer key
    (ring,) = found(crowd(1, ring=3))
    # Then they are one ring, with far more shared mistakes than chance would give
    assert ring.workers == (0, 1, 2)
    assert ring.shared == ring.mistakes > 3 * ring.expected
    assert ring.p_value < FALSE_ALARM


@pytest.mark.parametrize("hard_share", [0.0, 0.3])
def test_honest_workers_are_left_alone(hard_share: float) -> None:
    # Given crowds without copiers, whose mistakes on hard items are often the same
    # Then nobody is accused
    for seed in range(10):
        assert found(crowd(seed, hard_share=hard_share)) == (), f"seed {seed}"


def test_few_answers_accuse_nobody() -> None:
    none = Votes.of([], [], [], n_items=3, n_workers=2, n_labels=2)
    assert rings(none, np.zeros(3, dtype=np.int64), np.log(np.full((2, 2, 2), 0.5))) == ()
    two = Votes.of([0, 0], [0, 1], [1, 1], n_items=3, n_workers=2, n_labels=2)
    assert rings(two, np.zeros(3, dtype=np.int64), np.log(np.full((2, 2, 2), 0.5))) == ()


def test_large_tables_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = crowd(1, ring=3)
    whole = found(votes)
    monkeypatch.setattr("allocation.quality.collusion.PAIRS_AT_ONCE", 64)
    (ring,) = found(votes)
    assert (ring.workers, ring.mistakes, ring.shared) == (
        whole[0].workers,
        whole[0].mistakes,
        whole[0].shared,
    )
    assert ring.expected == pytest.approx(whole[0].expected)
