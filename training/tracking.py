"""Where the metrics of a run go while it trains: TensorBoard files, and MLflow if configured."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from cluster.domain.ids import UnixSeconds
from cluster.errors import TrainingFailed, Unavailable
from cluster.ports import ObjectStore

UPLOAD_EVERY_S = 10.0
"""How old what is stored may be: an event file is stored whole each time."""

MLFLOW_EXPERIMENT = "muster"

_logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """Takes the metrics of one run."""

    def log(self, step: int, metrics: Mapping[str, float], now: UnixSeconds) -> None:
        """Note metrics after `step` epochs."""
        ...

    def flush(self) -> None:
        """Store all that was noted."""
        ...


class TensorBoardLog:
    """A TensorBoard event file in a folder of the object store.

    Each process that works on a run adds a file of its own, so that what an earlier one said stays.
    A disk without room, or a store that does not answer, costs metrics, not the run.
    """

    def __init__(self, objects: ObjectStore, folder: str) -> None:
        from tensorboardX.event_file_writer import EventsWriter  # noqa: PLC0415 - only workers do

        self._objects, self._folder = objects, folder
        self._local = TemporaryDirectory()
        self._writer = EventsWriter(f"{self._local.name}/events")
        self._stored_at = 0.0

    def log(self, step: int, metrics: Mapping[str, float], now: UnixSeconds) -> None:
        """Note metrics after `step` epochs; they are stored some seconds later at the latest."""
        from tensorboardX.proto.event_pb2 import Event  # noqa: PLC0415
        from tensorboardX.summary import scalar  # noqa: PLC0415

        events = [
            Event(summary=scalar(name, value), step=step, wall_time=now)
            for name, value in metrics.items()
        ]
        with self._forgone():
            for event in events:
                self._writer.write_event(event)
        if now - self._stored_at >= UPLOAD_EVERY_S:
            self.flush()
            self._stored_at = now

    def flush(self) -> None:
        """Store all that was noted, if it can be."""
        with self._forgone():
            self._writer.flush()
            (file,) = Path(self._local.name).iterdir()
            self._objects.write(f"{self._folder}/{file.name}", file.read_bytes())

    @contextmanager
    def _forgone(self) -> Iterator[None]:
        """Go on without what could not be written here."""
        try:
            yield
        except (Unavailable, OSError):
            _logger.warning("metrics of %s could not be stored", self._folder, exc_info=True)


class MlflowLog:
    """A run of the experiment `muster` on an MLflow server; a run taken up again is the same one.

    A server that does not answer costs metrics, not the run.
    """

    def __init__(self, uri: str, run_name: str) -> None:
        from mlflow import MlflowClient  # noqa: PLC0415 - optional
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        self._client, self._error = MlflowClient(tracking_uri=uri), MlflowException
        self._run_name, self._run_id = run_name, ""

    def log(self, step: int, metrics: Mapping[str, float], now: UnixSeconds) -> None:
        """Send metrics after `step` epochs."""
        from mlflow.entities import Metric  # noqa: PLC0415

        moment = int(now * 1_000)
        sent = [Metric(name, value, moment, step) for name, value in metrics.items()]
        try:
            self._run_id = self._run_id or self._find_run()
            self._client.log_batch(self._run_id, metrics=sent)
        except self._error:
            _logger.warning("MLflow did not take the metrics of %s", self._run_name, exc_info=True)

    def flush(self) -> None:
        """Do nothing: all was sent."""

    def _find_run(self) -> str:
        experiment = self._client.get_experiment_by_name(MLFLOW_EXPERIMENT)
        if experiment is None:
            experiment_id = self._client.create_experiment(MLFLOW_EXPERIMENT)
        else:
            experiment_id = experiment.experiment_id
        named = f"tags.mlflow.runName = '{self._run_name}'"
        found = self._client.search_runs([experiment_id], named, max_results=1)
        run = found[0] if found else self._client.create_run(experiment_id, run_name=self._run_name)
        run_id: str = run.info.run_id
        return run_id


def require_mlflow(uri: str, run_name: str) -> None:
    """Raise TrainingFailed where metrics should go to MLflow and its client is not installed."""
    if uri and find_spec("mlflow") is None:
        reason = "MUSTER_LEARNING__MLFLOW_URI is set, but the package mlflow is not installed"
        raise TrainingFailed(run_name, reason)


def open_trackers(
    objects: ObjectStore, folder: str, mlflow_uri: str, run_name: str
) -> tuple[Tracker, ...]:
    """Return where the metrics of a run go."""
    board = TensorBoardLog(objects, folder)
    return (board, MlflowLog(mlflow_uri, run_name)) if mlflow_uri else (board,)
