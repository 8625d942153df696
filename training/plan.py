"""What a trainer is asked for and what it gives back; needs neither torch nor Ray."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from training.config import Recipe
from training.snapshot import Snapshot

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """A training run; equal plans are one run, however often and wherever it is started."""

    snapshot: Snapshot
    recipe: Recipe
    seed: int

    @property
    def name(self) -> str:
        """The run's name: another snapshot, recipe or seed is another run."""
        return f"{self.snapshot.name}-{self.recipe.name}-{self.seed}-{self.snapshot.hash[:12]}"

    def workers(self, most: int) -> int:
        """Return how many workers are worth their start, at most `most`; each gets some rows."""
        train = self.snapshot.train
        return max(1, min(most, train.shards, train.rows // self.recipe.rows_per_worker_min))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainedModel:
    """A model file, how the run went, and what the model says of the audit items.

    `audit_probabilities` (m, K) are in the order of the snapshot's audit rows, each by the head of
    its own fold.
    """

    weights: bytes
    metrics: Mapping[str, float]
    audit_probabilities: Floats


class Trainer(Protocol):
    """Trains models."""

    def fit(self, plan: TrainingPlan) -> TrainedModel:
        """Run a plan to its end; raises TrainingFailed."""
        ...
