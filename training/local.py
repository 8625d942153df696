"""Training in this process: backtests, tests, and the smallest machine."""

from cluster.ports import ObjectStore
from training.group import Alone
from training.heed import Heed, unheeded
from training.plan import TrainedModel, TrainingPlan
from training.snapshot import read_judged, read_training
from training.step import train


class LocalTrainer:
    """A `Trainer` on the calling thread."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def fit(self, plan: TrainingPlan, heed: Heed = unheeded) -> TrainedModel:
        """Train on the whole snapshot, heeding after every epoch; raises TrainingFailed."""
        data = read_training(self._objects, plan.snapshot)
        judged = read_judged(self._objects, plan.snapshot)
        fitted = train(
            plan.recipe, data, plan.seed, Alone(), run_name=plan.name, on_progress=lambda _: heed()
        )
        return TrainedModel(
            weights=fitted.model.save(),
            metrics=fitted.metrics,
            judged_probabilities=fitted.model.judged(judged),
        )
