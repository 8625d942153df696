"""Workers who copy one another: found by the mistakes they share, which honest ones share rarely.

Two workers who are right agree, whoever they are; a wrong answer that both give is what tells. On
hard items honest workers share mistakes too, so what is expected of a pair is counted item by item:
where one is wrong, the other gives the same answer as often as everybody else asked about that item
did, and as the other's confusion matrix says. A pair is found where far more mistakes are shared
than that, by Chernoff's bound on a sum of independent trials (H. Chernoff, Annals of Mathematical
Statistics 23, 1952) over all pairs tested (Bonferroni). Workers found in pairs form rings.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import rel_entr

from allocation.quality.votes import Bools, Codes, Floats, Votes

FALSE_ALARM = 1e-4
"""The chance at most that a crowd without copiers has any pair found in it."""

MISTAKES_MIN = 5
"""Mistakes of a worker that another one answered too, below which they are not compared."""

SHARED_MIN = 0.95
"""The share of one's mistakes that the other makes too, below which they err alike but apart."""

CONFUSION_WORTH = 2.0
"""How many answers of others to the same item a confusion matrix counts as."""

PAIRS_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Workers who share mistakes, by their codes, and the evidence.

    Of `mistakes` that one of a pair made and the other was asked about too, `shared` are the same;
    `expected` would be if they did not know one another. `p_value` bounds the chance of the least
    of the pairs.
    """

    workers: tuple[int, ...]
    mistakes: int
    shared: int
    expected: float
    p_value: float


def rings(votes: Votes, labels: Codes, log_confusion: Floats) -> tuple[Ring, ...]:
    """Return the rings in a crowd, given the items' labels (items,) as they are believed.

    `log_confusion` (workers, K, K) holds log P(answer | truth). A ring that holds the majority of
    the answers to its items has the labels on its side and is not found.
    """
    pairs = _compared(votes, labels, np.exp(log_confusion))
    tested = pairs.mistakes >= MISTAKES_MIN
    p_value = np.where(tested, np.minimum(_tail(pairs) * max(int(tested.sum()), 1), 1.0), 1.0)
    copied = pairs.shared >= SHARED_MIN * pairs.mistakes
    return _rings(pairs, copied & (p_value < FALSE_ALARM), p_value)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Pairs:
    """Ordered pairs of workers, by key: mistakes of the first, and what the second made of them.

    A key is `first * n_workers + second`; keys ascend. `shared` of the `mistakes` are the second's
    too, `expected` would be.
    """

    keys: Codes
    mistakes: Floats
    shared: Floats
    expected: Floats
    n_workers: int

    @property
    def first(self) -> Codes:
        return self.keys // self.n_workers

    @property
    def second(self) -> Codes:
        return self.keys % self.n_workers


def _compared(votes: Votes, labels: Codes, confusion: Floats) -> _Pairs:
    """Count, for every ordered pair, what becomes of the first one's mistakes."""
    order = np.argsort(votes.items, kind="stable")
    votes = replace(
        votes, items=votes.items[order], workers=votes.workers[order], labels=votes.labels[order]
    )
    wrong = np.flatnonzero(votes.labels != labels[votes.items])
    beside = np.cumsum(votes.answers_per_item()[votes.items[wrong]])
    bounds = np.flatnonzero(np.diff(beside // PAIRS_AT_ONCE)) + 1
    found = [_beside(votes, labels, confusion, part) for part in np.split(wrong, bounds)]
    return _summed(
        np.concatenate([part.keys for part in found]),
        np.concatenate([(part.mistakes, part.shared, part.expected) for part in found], axis=1),
        votes.n_workers,
    )


def _beside(votes: Votes, labels: Codes, confusion: Floats, wrong: npt.NDArray[np.intp]) -> _Pairs:
    """Count the pairs of those who gave some wrong answers and those asked beside them."""
    items, workers, said = votes.items, votes.workers, votes.labels
    answers = votes.answers_per_item().astype(np.int64)
    counts, ends = votes.counts(), np.cumsum(answers)
    size = answers[items[wrong]]
    first = np.repeat(wrong, size)
    second = np.repeat(ends[items[wrong]] - np.cumsum(size), size) + np.arange(len(first))
    kept = workers[first] != workers[second]
    first, second = first[kept], second[kept]
    item, mistake = items[first], said[first]
    same = (mistake == said[second]).astype(np.float64)
    # The two themselves say nothing of what everybody else said.
    rest = counts[item, mistake] - 1.0 - same
    own = confusion[workers[second], labels[item], mistake]
    mixed = (rest + CONFUSION_WORTH * own) / (answers[item] - 2.0 + CONFUSION_WORTH)
    # Who always says the same shares mistakes with others like it, and has copied nobody.
    expected = np.maximum(own, mixed)
    key = workers[first].astype(np.int64) * votes.n_workers + workers[second]
    return _summed(key, np.stack([np.ones(len(key)), same, expected]), votes.n_workers)


def _summed(keys: Codes, counted: Floats, n_workers: int) -> _Pairs:
    """Return pairs whose counts, (3, rows), are added up by key."""
    unique, rows = np.unique(keys, return_inverse=True)
    mistakes, shared, expected = (
        np.bincount(rows, weights=column, minlength=len(unique)).astype(np.float64)
        for column in counted
    )
    return _Pairs(
        keys=unique, mistakes=mistakes, shared=shared, expected=expected, n_workers=n_workers
    )


def _tail(pairs: _Pairs) -> Floats:
    """Return Chernoff's bound on sharing so many mistakes or more, (pairs,)."""
    seen = pairs.shared / pairs.mistakes
    due = np.clip(pairs.expected / pairs.mistakes, 1e-9, 1.0 - 1e-9)
    divergence = rel_entr(seen, due) + rel_entr(1.0 - seen, 1.0 - due)
    return np.where(seen > due, np.exp(-pairs.mistakes * divergence), 1.0)


def _rings(pairs: _Pairs, found: Bools, p_value: Floats) -> tuple[Ring, ...]:
    """Return the connected components of the pairs found."""
    first, second = pairs.first[found], pairs.second[found]
    links = coo_array((np.ones(len(first)), (first, second)), shape=(pairs.n_workers,) * 2)
    _, component = connected_components(links, directed=False)
    return tuple(
        Ring(
            workers=tuple(np.unique(np.concatenate([first[inside], second[inside]])).tolist()),
            mistakes=int(pairs.mistakes[found][inside].sum()),
            shared=int(pairs.shared[found][inside].sum()),
            expected=float(pairs.expected[found][inside].sum()),
            p_value=float(p_value[found][inside].min()),
        )
        for inside in (component[first] == number for number in np.unique(component[first]))
    )
