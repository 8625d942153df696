"""Which items may be learnt from, and what each counts."""

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


def training_rows(trainable: Bools, audit: Bools) -> Bools:
    """Return the items to learn from: never one of the audit sample, whatever else is said."""
    return trainable & ~audit


def classes_seen(targets: Floats) -> int:
    """Return how many labels are the most likely one of some row of posteriors (n, K)."""
    return len(np.unique(targets.argmax(axis=1)))


def balance_weights(targets: Floats, balance: float) -> Floats:
    """Return what each row (n,) counts, 1 on average, to make classes weigh more alike.

    A class with posterior mass share s among C present ones counts (1 / (C s)) ** `balance`: at 0
    every row counts the same, at 1 every class has the same weight in total. A row counts the mean
    of its classes under its posterior.
    """
    mass = targets.astype(np.float64).sum(axis=0)
    present = mass > 0.0
    factors = np.zeros(len(mass))
    factors[present] = (mass.sum() / (present.sum() * mass[present])) ** balance
    weights = targets @ factors
    scaled: Floats = (weights / weights.mean()).astype(np.float32)
    return scaled
