"""The trainer of a deployment: runs each plan as a Ray Train job."""

from cluster.settings import Settings
from training.plan import TrainedModel, TrainingPlan


class RayTrainer:
    """A `Trainer` on Ray Train; a plan that was cut off goes on from its last checkpoint."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def fit(self, plan: TrainingPlan) -> TrainedModel:
        """Run a plan to its end on the cluster this process has joined; raises TrainingFailed."""
        # The runner of a job lives without Ray Train and torch, seconds to import, until it learns.
        from training.job import run_on_ray  # noqa: PLC0415

        return run_on_ray(plan, self._settings)
