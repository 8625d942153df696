"""What a trainer is asked for and what it gives back; needs neither torch nor Ray."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cluster.domain.ids import ModelName
from training.config import Recipe
from training.heed import Heed, unheeded
from training.search import UNLIMITED, Allowance
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
        """The run's name: another snapshot, recipe or seed is another run.

        What a recipe says counts, not only what it is called: a release may say other things of it.
        """
        told = f"{self.recipe.name}-{self.recipe.fingerprint}-{self.seed}"
        return f"{self.snapshot.name}-{told}-{self.snapshot.hash[:12]}"

    def workers(self, most: int) -> int:
        """Return how many workers are worth their start, at most `most`; each gets some rows."""
        train = self.snapshot.train
        return max(1, min(most, train.shards, train.rows // self.recipe.rows_per_worker_min))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainedModel:
    """A model file, how the run went, and what the model says of the items it is judged on.

    `judged_probabilities` (m, K) are in the order of `training.snapshot.read_judged`, each by the
    head of its own fold.
    """

    weights: bytes
    metrics: Mapping[str, float]
    judged_probabilities: Floats


class Trainer(Protocol):
    """Trains models."""

    def fit(self, plan: TrainingPlan, heed: Heed = unheeded) -> TrainedModel:
        """Run a plan to its end; raises TrainingFailed, and what `heed` raises meanwhile."""
        ...


class Tuner(Protocol):
    """Knows better recipes than the default ones, or looks for them."""

    def tuned(
        self,
        line: ModelName,
        plan: TrainingPlan,
        allowance: Allowance = UNLIMITED,
        heed: Heed = unheeded,
    ) -> TrainingPlan:
        """Return the plan with the recipe to train a model line with; that of the plan at worst.

        What is looked for costs no more than the `allowance` of its job. Raises at once what `heed`
        raises meanwhile.
        """
        ...


class Untuned:
    """A `Tuner` that leaves every recipe as it is."""

    def tuned(
        self,
        line: ModelName,  # noqa: ARG002
        plan: TrainingPlan,
        allowance: Allowance = UNLIMITED,  # noqa: ARG002
        heed: Heed = unheeded,  # noqa: ARG002
    ) -> TrainingPlan:
        """Return the plan."""
        return plan
