"""One training run as a Ray Train job: the same step as in one process, on several workers.

The run's name and storage are those of its plan, so that a run started again, in another process
or after the death of this one, goes on from the last checkpoint that was stored.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.fs as pafs
import ray.train
import torch
from ray.train import (
    Checkpoint,
    CheckpointConfig,
    FailureConfig,
    RunConfig,
    ScalingConfig,
    WorkerGroupError,
)
from ray.train import TrainingFailedError as RunFailedError
from ray.train.torch import TorchTrainer, get_device, prepare_model
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from torch import Tensor, nn

from cluster.errors import TrainingFailed
from cluster.ports import ObjectStore
from cluster.settings import LearningSettings, Settings
from cluster.stores.objects import open_objects
from training.minibatch import RunState
from training.plan import TrainedModel, TrainingPlan
from training.snapshot import read_audit, read_training
from training.step import Fitted, train

MODEL_FILE, AUDIT_FILE, STATE_FILE = "model.safetensors", "audit.safetensors", "state.safetensors"

FAILURES_MAX = 3
"""How often a run goes on after it lost a worker."""

_logger = logging.getLogger(__name__)


def run_on_ray(plan: TrainingPlan, settings: Settings) -> TrainedModel:
    """Run a plan to its end; raises TrainingFailed."""
    filesystem, root = pafs.FileSystem.from_uri(settings.objects)
    trainer = TorchTrainer(
        WorkerLoop(plan, settings.objects),
        scaling_config=_scaling(settings.learning, plan),
        run_config=RunConfig(
            name=plan.name,
            storage_path=f"{root}/{plan.snapshot.folder}/runs",
            storage_filesystem=filesystem,
            failure_config=FailureConfig(max_failures=FAILURES_MAX),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        result = trainer.fit()
    except RunFailedError as error:
        _logger.exception("training run %s failed", plan.name)
        raise TrainingFailed(plan.name, _reason(error)) from None
    if result.checkpoint is None:
        raise TrainingFailed(plan.name, "it ended without a checkpoint")
    with result.checkpoint.as_directory() as folder:
        return _trained(Path(folder), result.metrics or {})


@dataclass(frozen=True, slots=True)
class WorkerLoop:
    """What each worker of a run does."""

    plan: TrainingPlan
    objects_uri: str

    def __call__(self) -> None:
        """Train on this worker's shards; the first worker stores what came out."""
        objects, group = open_objects(self.objects_uri), WorkerGroup()
        resume = None
        if (checkpoint := ray.train.get_checkpoint()) is not None:
            with checkpoint.as_directory() as folder:
                if (Path(folder) / MODEL_FILE).exists():
                    return
                resume = RunState.load((Path(folder) / STATE_FILE).read_bytes())
        fitted = train(
            self.plan.recipe,
            read_training(objects, self.plan.snapshot, group.rank, group.size),
            self.plan.seed,
            group,
            run_name=self.plan.name,
            resume=resume,
            on_checkpoint=lambda state, loss: _report(
                group, {"loss": loss, "epochs": float(state.epochs)}, {STATE_FILE: state.save()}
            ),
        )
        _report(group, fitted.metrics, _result_files(self.plan, objects, fitted))


class WorkerGroup:
    """The workers of this run, from inside one of them."""

    def __init__(self) -> None:
        context = ray.train.get_context()
        self.rank, self.size = context.get_world_rank(), context.get_world_size()
        self.device = get_device()

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum of every worker's tensor, the same bits to each."""
        summed = tensor.clone()
        torch.distributed.all_reduce(summed)
        return summed

    def replicate(self, module: nn.Module) -> nn.Module:
        """Return the module with gradients that are averaged over the workers."""
        return prepare_model(module)


def _scaling(learning: LearningSettings, plan: TrainingPlan) -> ScalingConfig:
    resources = {"CPU": learning.cpus_per_worker}
    if learning.gpus_per_worker > 0:
        resources["GPU"] = learning.gpus_per_worker
    return ScalingConfig(
        num_workers=plan.workers(learning.workers),
        use_gpu=learning.gpus_per_worker > 0,
        resources_per_worker=resources,
    )


def _report(group: WorkerGroup, metrics: Mapping[str, float], files: Mapping[str, bytes]) -> None:
    """Report metrics, with a checkpoint from the first worker; every worker must call."""
    if group.rank > 0:
        ray.train.report(dict(metrics))
        return
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        ray.train.report(dict(metrics), checkpoint=Checkpoint.from_directory(folder))


def _result_files(plan: TrainingPlan, objects: ObjectStore, fitted: Fitted) -> Mapping[str, bytes]:
    """Return the model file and what the model says of the audit items."""
    audit = read_audit(objects, plan.snapshot)
    probabilities = fitted.model.predict(audit.features, audit.folds)
    return {
        MODEL_FILE: fitted.model.save(),
        AUDIT_FILE: save_arrays({"probabilities": probabilities}),
    }


def _trained(folder: Path, metrics: Mapping[str, float]) -> TrainedModel:
    audit = load_arrays((folder / AUDIT_FILE).read_bytes())
    return TrainedModel(
        weights=(folder / MODEL_FILE).read_bytes(),
        metrics={name: float(value) for name, value in metrics.items()},
        audit_probabilities=audit["probabilities"].astype(np.float32),
    )


def _reason(error: RunFailedError) -> str:
    """Return why a run ended, in Muster's own words."""
    if not isinstance(error, WorkerGroupError):
        return "Ray Train could not run it"
    causes = error.worker_failures.values()
    reasons = [cause.reason for cause in causes if isinstance(cause, TrainingFailed)]
    return reasons[0] if reasons else f"it lost a worker {FAILURES_MAX + 1} times"
