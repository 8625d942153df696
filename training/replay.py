"""Rows of earlier jobs, learnt from again beside those of the present one.

A model that goes on learning from new rows alone forgets what only the old ones taught it (A.
Robins: Catastrophic Forgetting, Rehearsal and Pseudorehearsal, Connection Science 7(2), 1995). So
a bounded sample of them stays: of each class as many, as far as it has them, each row counting for
those of its class that were left out. Rare classes are not lost, and base rates are kept.
"""

import numpy as np
import numpy.typing as npt

from training.data import TrainingData

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

REPLAYED_ROWS_MAX = 10_000
"""So many rows of all earlier jobs together are learnt from again."""


def sampled(targets: Floats, most: int, seed: int) -> tuple[Positions, Floats]:
    """Return at most `most` rows, rising, of posteriors (n, K), and what each counts, 1 on average.

    Equal arguments give equal samples; fewer rows than there are classes with any are no sample.
    """
    classes = targets.argmax(axis=1)
    counts = np.bincount(classes, minlength=targets.shape[1])
    if most < np.count_nonzero(counts) or not len(targets):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    taken = np.minimum(counts, _quota(counts, most))
    order = np.random.default_rng(seed).permutation(len(targets))
    order = order[np.argsort(classes[order], kind="stable")]
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.sort(order[place < taken[classes[order]]])
    weights = (counts / np.maximum(taken, 1))[classes[rows]]
    return rows.astype(np.int64), (weights / weights.mean()).astype(np.float32)


def _quota(counts: npt.NDArray[np.int64], most: int) -> int:
    """Return the most rows a class may give so that all together give at most `most`."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if int(np.minimum(counts, middle).sum()) <= most:
            low = middle
        else:
            high = middle - 1
    return low


def together(first: TrainingData, second: TrainingData) -> TrainingData:
    """Return the rows of both."""
    return TrainingData(
        features=np.concatenate([first.features, second.features]),
        targets=np.concatenate([first.targets, second.targets]),
        weights=np.concatenate([first.weights, second.weights]),
        folds=np.concatenate([first.folds, second.folds]),
        contents=[*first.contents, *second.contents],
    )


def chosen(data: TrainingData, rows: Positions, weights: Floats | None = None) -> TrainingData:
    """Return some rows, each counting as before times its weight."""
    counts = data.weights[rows] if weights is None else data.weights[rows] * weights
    return TrainingData(
        features=data.features[rows],
        targets=data.targets[rows],
        weights=counts,
        folds=data.folds[rows],
        contents=[data.contents[row] for row in rows] if data.contents else (),
    )
