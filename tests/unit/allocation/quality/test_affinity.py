"""Which items lie a worker is learned where it shows, and nothing where it does not."""

import numpy as np
import pytest
from scipy.special import expit

from allocation.quality.affinity import Affinity, learn
from allocation.quality.votes import Floats, Votes

WORKERS, ITEMS = 20, 500


def answered(seed: int, strength: float) -> tuple[Votes, Floats, Floats, Floats]:
    """Votes, whether each is right, features of items, and the workers' true log odds an item.

    Workers differ in how they fare along the second of twelve directions.
    """
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(ITEMS, 12)) * np.linspace(1.0, 3.0, 12)
    bent = strength * rng.choice([-1.0, 1.0], WORKERS)
    better = bent[:, None] * features[:, 11] / 3.0
    workers = rng.random((ITEMS, WORKERS)).argsort(axis=1)[:, :8].ravel()
    items = np.repeat(np.arange(ITEMS), 8)
    right = (rng.random(len(items)) < expit(1.0 + better[workers, items])).astype(np.float64)
    votes = Votes.of(
        items, workers, right.astype(int), n_items=ITEMS, n_workers=WORKERS, n_labels=2
    )
    return votes, right, features, better


def everywhere(found: Affinity, features: Floats) -> Floats:
    """Return the log odds of every worker on every item, (workers, items)."""
    workers, items = np.divmod(np.arange(WORKERS * ITEMS), ITEMS)
    return found.log_odds(workers, features[items]).reshape(WORKERS, ITEMS)


def test_who_is_good_at_what_is_found() -> None:
    votes, right, features, better = answered(1, strength=1.0)

    found = learn(votes, right, np.full(len(votes), right.mean()), features)

    assert found.informed
    assert np.corrcoef(everywhere(found, features).ravel(), better.ravel())[0, 1] > 0.85


@pytest.mark.parametrize("seed", range(5))
def test_where_all_items_lie_all_workers_nothing_is_said(seed: int) -> None:
    votes, right, features, _ = answered(seed, strength=0.0)

    found = learn(votes, right, np.full(len(votes), right.mean()), features)

    assert not found.informed
    assert not everywhere(found, features).any()


def test_a_worker_without_answers_is_like_all_others() -> None:
    votes, right, features, _ = answered(2, strength=1.0)
    known = votes.workers != 0
    kept = Votes.of(
        votes.items[known],
        votes.workers[known],
        votes.labels[known],
        n_items=ITEMS,
        n_workers=WORKERS,
        n_labels=2,
    )

    found = learn(kept, right[known], np.full(len(kept), right.mean()), features)

    assert found.informed
    assert not everywhere(found, features)[0].any()


def test_features_that_are_all_alike_say_nothing() -> None:
    votes, right, features, _ = answered(3, strength=1.0)

    found = learn(votes, right, np.full(len(votes), right.mean()), np.ones_like(features))

    assert not found.informed
    assert not everywhere(found, np.ones_like(features)).any()
