"""Metrics of runs: event files that stay, and an MLflow that is missing."""

import pytest

from benchmarks.fitting.boards import scalars
from cluster.errors import TrainingFailed
from cluster.storage_errors import StorageFull, StorageUnreachable
from cluster.stores.objects import MemoryObjects
from training.tracking import TensorBoardLog, require_mlflow


def test_what_is_noted_is_stored_in_a_file_that_tensorboard_reads() -> None:
    objects = MemoryObjects()
    board = TensorBoardLog(objects, "runs/one")

    for epoch in (1, 2, 3):
        board.log(epoch, {"loss": 1.0 / epoch, "rows_per_s": 10.0}, now=1_000.0 + epoch)
    board.flush()

    (path,) = objects.list("runs/one")
    assert "tfevents" in path
    told = list(scalars(objects.read(path)))
    assert [(each.step, each.tag) for each in told[:2]] == [(1, "loss"), (1, "rows_per_s")]
    losses = [each for each in told if each.tag == "loss"]
    assert [each.value for each in losses] == pytest.approx([1.0, 0.5, 1 / 3])
    assert [each.at for each in losses] == [1_001.0, 1_002.0, 1_003.0]


def test_what_is_noted_is_stored_some_seconds_later_without_being_asked() -> None:
    objects = MemoryObjects()
    board = TensorBoardLog(objects, "runs/one")

    def stored() -> int:
        return sum(len(list(scalars(objects.read(path)))) for path in objects.list("runs/one"))

    board.log(1, {"loss": 1.0}, now=1_000.0)
    assert stored() == 1
    board.log(2, {"loss": 1.0}, now=1_005.0)
    assert stored() == 1
    board.log(3, {"loss": 1.0}, now=1_010.0)
    assert stored() == 3


class Refusing(MemoryObjects):
    """An object store that takes nothing for a while."""

    error: Exception | None = None

    def write(self, path: str, content: bytes) -> None:
        if self.error is not None:
            raise self.error
        super().write(path, content)


@pytest.mark.parametrize(
    "error", [StorageFull("x"), StorageUnreachable("x"), PermissionError(13, "denied")]
)
def test_a_store_that_takes_no_metrics_costs_metrics_and_not_the_run(error: Exception) -> None:
    objects = Refusing()
    board = TensorBoardLog(objects, "runs/one")

    objects.error = error
    board.log(1, {"loss": 1.0}, now=1_000.0)
    board.flush()
    objects.error = None
    board.log(2, {"loss": 0.5}, now=1_001.0)
    board.flush()

    (path,) = objects.list("runs/one")
    assert [each.step for each in scalars(objects.read(path))] == [1, 2]


def test_an_mlflow_that_is_configured_but_not_installed_is_a_clear_failure() -> None:
    require_mlflow("", "run")
    with pytest.raises(TrainingFailed, match="MLFLOW_URI is set, but the package mlflow"):
        require_mlflow("http://localhost:5000", "run")
