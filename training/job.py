"""One training run as a Ray Train job: the same step as in one process, on several workers.

The run's name and storage are those of its plan, so that a run started again, in another process
or after the death of this one, goes on from the last checkpoint that was stored. The workers reduce
over gloo, or over NCCL where each has a GPU.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np
import pyarrow.fs as pafs
import ray.train
import torch
from ray.train import (
    Checkpoint,
    CheckpointConfig,
    CheckpointUploadMode,
    ControllerError,
    RunConfig,
    UserCallback,
    WorkerGroupError,
)
from ray.train import TrainingFailedError as RunFailedError
from ray.train.torch import TorchTrainer, get_device, prepare_model

# To a type checker, `ray.train` still has the configurations of its first version.
from ray.train.v2.api.config import FailureConfig, ScalingConfig
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from torch import Tensor, nn

from cluster.errors import TrainingFailed, Unavailable
from cluster.model_settings import LearningSettings
from cluster.ports import ObjectStore
from cluster.settings import Settings
from cluster.storage_errors import StorageFull, is_no_room
from cluster.stores.objects import open_objects
from training.plan import TrainedModel, TrainingPlan
from training.progress import Progress
from training.run_state import RunState
from training.sharding import shard
from training.snapshot import read_judged, read_training
from training.step import Fitted, train
from training.tracking import Tracker, open_trackers, require_mlflow

MODEL_FILE, JUDGED_FILE, STATE_FILE = "model.safetensors", "judged.safetensors", "state.safetensors"

FAILURES_MAX = 3
"""How often a run goes on after it lost a worker."""

PREEMPTIONS_MAX = 100
"""How often it goes on after a node was taken away that had been announced to go."""

STARTS_MAX = 60
"""How often its workers may fail to start; where there is no room, a try takes a minute."""

_logger = logging.getLogger(__name__)


def run_on_ray(plan: TrainingPlan, settings: Settings) -> TrainedModel:
    """Run a plan to its end; raises TrainingFailed."""
    learning = settings.learning
    require_mlflow(learning.mlflow_uri, plan.name)
    filesystem, root = pafs.FileSystem.from_uri(settings.objects)
    finality: Any = Finality(plan.name)
    run_config = RunConfig(
        name=plan.name,
        storage_path=f"{root}/{plan.snapshot.folder}/runs",
        storage_filesystem=filesystem,
        failure_config=FailureConfig(
            max_failures=FAILURES_MAX,
            max_preemption_failures=PREEMPTIONS_MAX,
            preemption_grace_s=learning.preemption_grace_s,
            controller_failure_limit=STARTS_MAX,
        ),
        checkpoint_config=CheckpointConfig(num_to_keep=1),
        callbacks=[finality],
    )
    try:
        trainer = TorchTrainer(
            WorkerLoop(plan, settings.objects, learning),
            scaling_config=_scaling(learning, plan),
            run_config=run_config,
        )
        result = trainer.fit()
    except (RunFailedError, OSError) as error:
        _logger.exception("training run %s failed", plan.name)
        raise TrainingFailed(plan.name, reason_of(error)) from None
    if result.checkpoint is None:
        raise TrainingFailed(plan.name, "it ended without a checkpoint")
    with result.checkpoint.as_directory() as folder:
        return _trained(Path(folder), result.metrics or {})


class Finality(UserCallback):
    """Ends a run at an error that would come again, for which Ray Train would try it once more."""

    def __init__(self, run_name: str) -> None:
        self._run_name = run_name

    def after_exception(
        self,
        run_context: object,  # noqa: ARG002
        worker_exceptions: Mapping[int, Exception],
    ) -> None:
        """Raise TrainingFailed where a worker did, or found no room; that ends the run."""
        for error in worker_exceptions.values():
            if isinstance(error, TrainingFailed):
                raise error
            if _finds_no_room(error):
                raise TrainingFailed(self._run_name, reason_of(error))


@dataclass(frozen=True, slots=True)
class WorkerLoop:
    """What each worker of a run does."""

    plan: TrainingPlan
    objects_uri: str
    learning: LearningSettings

    def __call__(self) -> None:
        """Train on this worker's shards; the first worker stores what came out."""
        # What is not stored when the run fails is deleted with the folder.
        with TemporaryDirectory(prefix="muster-run-", ignore_cleanup_errors=True) as folder:
            self._train(Path(folder))

    def _train(self, drafts: Path) -> None:
        objects = open_objects(self.objects_uri)
        group = WorkerGroup(shard_weights=self.learning.shard_weights)
        resume = None
        if (checkpoint := ray.train.get_checkpoint()) is not None:
            with checkpoint.as_directory() as folder:
                if (Path(folder) / MODEL_FILE).exists():
                    return
                state = (Path(folder) / STATE_FILE).read_bytes()
                resume = RunState.load(state, self.plan.name)
        diary = _Diary(group, self._trackers(objects) if group.rank == 0 else (), drafts)
        fitted = train(
            self.plan.recipe,
            read_training(objects, self.plan.snapshot, group.rank, group.size),
            self.plan.seed,
            group,
            run_name=self.plan.name,
            resume=resume,
            on_progress=diary.note,
        )
        diary.close(fitted.metrics)
        files = _result_files(self.plan, objects, fitted) if group.rank == 0 else {}
        _report(group, drafts, fitted.metrics, files)

    def _trackers(self, objects: ObjectStore) -> tuple[Tracker, ...]:
        folder = f"{self.plan.snapshot.folder}/tensorboard/{self.plan.name}"
        return open_trackers(objects, folder, self.learning.mlflow_uri, self.plan.name)


class WorkerGroup:
    """The workers of this run, from inside one of them."""

    def __init__(self, *, shard_weights: bool) -> None:
        context = ray.train.get_context()
        self.rank, self.size = context.get_world_rank(), context.get_world_size()
        self.device = get_device()
        self._shard_weights = shard_weights

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum of every worker's tensor, the same bits to each."""
        summed = tensor.clone()
        torch.distributed.all_reduce(summed)
        return summed

    def replicate(self, module: nn.Module) -> nn.Module:
        """Return the module with gradients that are averaged over the workers."""
        if self._shard_weights and self.size > 1:
            return shard(module, self.size, self.device)
        # Some base models have weights that nothing here depends on.
        options = {"find_unused_parameters": True}
        return prepare_model(module, parallel_strategy_kwargs=options)


class _Diary:
    """What one worker tells of its run on the way, and saves of it by way of a folder."""

    def __init__(self, group: WorkerGroup, trackers: tuple[Tracker, ...], drafts: Path) -> None:
        self._group, self._trackers, self._drafts = group, trackers, drafts
        self._epochs, self._looked_at_s = 0.0, time.perf_counter()

    def note(self, progress: Progress) -> None:
        """Track progress; save the run where that is due, or where a node is about to go.

        Every worker must call after the same steps.
        """
        now_s = time.perf_counter()
        metrics = {
            "loss": progress.loss,
            "rows_per_s": progress.rows / (now_s - self._looked_at_s),
            "workers": float(self._group.size),
        }
        self._epochs = progress.epochs
        self._log(metrics)
        leaving = ray.train.get_preemption_info() is not None
        if leaving or progress.due:
            self._flush()
            files = {STATE_FILE: progress.state()}
            # Where there is time, the next epoch does not wait for the upload.
            mode = CheckpointUploadMode.SYNC if leaving else CheckpointUploadMode.ASYNC
            told = {**metrics, "epochs": progress.epochs}
            _report(self._group, self._drafts, told, files, mode)
        self._looked_at_s = time.perf_counter()

    def close(self, metrics: Mapping[str, float]) -> None:
        """Track how the run ended."""
        self._log(metrics)
        self._flush()

    def _log(self, metrics: Mapping[str, float]) -> None:
        for tracker in self._trackers:
            tracker.log(round(self._epochs), metrics, time.time())

    def _flush(self) -> None:
        for tracker in self._trackers:
            tracker.flush()


def _scaling(learning: LearningSettings, plan: TrainingPlan) -> ScalingConfig:
    resources = {"CPU": learning.cpus_per_worker}
    if learning.gpus_per_worker > 0:
        resources["GPU"] = learning.gpus_per_worker
    most = plan.workers(learning.workers)
    least = min(most, learning.workers_min or most)
    return ScalingConfig(
        num_workers=most if least == most else (least, most),
        use_gpu=learning.gpus_per_worker > 0,
        resources_per_worker=resources,
    )


def _report(
    group: WorkerGroup,
    drafts: Path,
    metrics: Mapping[str, float],
    files: Mapping[str, bytes],
    mode: CheckpointUploadMode = CheckpointUploadMode.SYNC,
) -> None:
    """Report metrics, with a checkpoint from the first worker; every worker must call."""
    checkpoint = None
    if group.rank == 0:
        drafts.mkdir(exist_ok=True)
        folder = Path(mkdtemp(dir=drafts))
        for name, content in files.items():
            (folder / name).write_bytes(content)
        checkpoint = Checkpoint.from_directory(folder)
    ray.train.report(
        dict(metrics),
        checkpoint=checkpoint,
        checkpoint_upload_mode=mode,
        delete_local_checkpoint_after_upload=True,
        checkpoint_upload_fn=_upload,
    )


def _upload(checkpoint: Checkpoint, name: str) -> Checkpoint:
    """Store a checkpoint; where there is no room for it, delete what the run has not stored yet.

    The worker is killed then, and has no time to.
    """
    storage: Any = ray.train.get_context().get_storage()
    try:
        stored: Checkpoint = storage.persist_current_checkpoint(checkpoint, name)
    except OSError as error:
        if is_no_room(error):
            rmtree(Path(checkpoint.path).parent, ignore_errors=True)
        raise
    return stored


def _result_files(plan: TrainingPlan, objects: ObjectStore, fitted: Fitted) -> Mapping[str, bytes]:
    """Return the model file and what the model says of the items it is judged on."""
    probabilities = fitted.model.judged(read_judged(objects, plan.snapshot))
    return {
        MODEL_FILE: fitted.model.save(),
        JUDGED_FILE: save_arrays({"probabilities": probabilities}),
    }


def _trained(folder: Path, metrics: Mapping[str, float]) -> TrainedModel:
    judged = load_arrays((folder / JUDGED_FILE).read_bytes())
    return TrainedModel(
        weights=(folder / MODEL_FILE).read_bytes(),
        metrics={name: float(value) for name, value in metrics.items()},
        judged_probabilities=judged["probabilities"].astype(np.float32),
    )


def reason_of(error: Exception) -> str:
    """Return why a run ended, in Muster's own words."""
    if isinstance(error, TrainingFailed):
        return error.reason
    if isinstance(error, ControllerError):
        return reason_of(error.controller_failure)
    if isinstance(error, WorkerGroupError):
        known = [each for each in error.worker_failures.values() if _is_told(each)]
        return reason_of(known[0]) if known else f"it lost a worker {FAILURES_MAX + 1} times"
    if _finds_no_room(error):
        return "there is no room to save a checkpoint"
    if isinstance(error, Unavailable | OSError):
        return "its storage cannot be reached"
    return "Ray Train could not run it"


def _is_told(error: Exception) -> bool:
    """Return whether a worker's error is its own; what else it raises mostly comes of another's.

    Arrow tells of storage by OSError itself, a lost connection is an error of a kind below it.
    """
    return isinstance(error, TrainingFailed | Unavailable) or type(error) is OSError


def _finds_no_room(error: Exception) -> bool:
    return isinstance(error, StorageFull) or (isinstance(error, OSError) and is_no_room(error))
