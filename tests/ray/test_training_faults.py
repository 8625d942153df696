"""Training over several nodes: a worker, the driver or a whole node is lost on the way.

Each blow falls in the middle of an epoch, as soon as a checkpoint is stored. What counts is the
model that comes out, which has to be that of an undisturbed run to the bit, and the epochs that the
run told of in its TensorBoard files: none may be taken after a blow that had been saved before it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import ray
from ray._common.test_utils import wait_for_condition
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

from cluster.settings import Settings
from tests.ray import training_driver
from tests.ray.training_driver import (
    EPOCHS,
    epochs_told,
    image_plan,
    processes,
    settings_in,
    workers_told,
)
from training.plan import TrainedModel, TrainingPlan
from training.trainer import RayTrainer

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "300",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.3",
    "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "0.3",
    "RAY_worker_niceness": "0",  # on a busy machine the nice are never served
    "OMP_NUM_THREADS": "1",
}


@ray.remote(num_cpus=0)
class Runner:
    """A job's runner on the head node: an actor that trains on one of its threads."""

    def fit(self, settings: Settings, plan: TrainingPlan) -> TrainedModel:
        return RayTrainer(settings).fit(plan)


class Save(NamedTuple):
    """How many epochs were known to be saved, at a moment in seconds since 1970."""

    epochs: int
    at: float


class Nodes:
    """A head node without room for training, and nodes with room for one worker each."""

    def __init__(self, workers: int) -> None:
        self.cluster: Any = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "resources": {"head": 1.0}}
        )
        self.workers: list[Any] = []
        for _ in range(workers):
            self.add()
        ray.init(self.cluster.address, log_to_driver=False)

    def add(self) -> None:
        self.workers.append(self.cluster.add_node(num_cpus=1))

    def lose(self, node: Any) -> None:
        """Kill a node and everything on it, without a word to the others."""
        self.cluster.remove_node(node, allow_graceful=False)
        self.workers.remove(node)

    def close(self) -> None:
        ray.shutdown()
        self.cluster.shutdown()

    def fit(self, settings: Settings, plan: TrainingPlan) -> Any:
        actor: Any = Runner
        return actor.options(resources={"head": 0.1}).remote().fit.remote(settings, plan)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in ENVIRONMENT.items():
            environment.setenv(name, value)
        nodes = Nodes(workers=2)
        yield nodes
        nodes.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    settings = settings_in(tmp_path_factory.mktemp("undisturbed"))
    plan = image_plan(settings)
    trained: TrainedModel = ray.get(nodes.fit(settings, plan))
    told = [each.step for each in epochs_told(settings, plan)]
    assert told == list(range(1, EPOCHS + 1))
    return trained


def test_a_run_that_loses_a_worker_a_node_and_its_driver_ends_with_the_same_weights(
    nodes: Nodes, settings: Settings, undisturbed: TrainedModel
) -> None:
    plan, result = image_plan(settings), settings.data_dir / "weights"
    driver = start_driver(nodes, settings)
    # When a worker is killed in the middle of an epoch
    first = next_save(settings, plan, after=0)
    os.kill(train_workers()[-1], signal.SIGKILL)
    # And a node with another one, when the run has gone on
    second = next_save(settings, plan, after=first.epochs)
    nodes.lose(nodes.workers[-1])
    nodes.add()
    # And the driver, when it has gone on once more
    third = next_save(settings, plan, after=second.epochs)
    driver.kill()
    driver.wait()
    wait_for_condition(lambda: not train_workers(), timeout=60)
    assert third.epochs < EPOCHS
    assert not result.exists()
    # Then another driver ends the run
    assert start_driver(nodes, settings).wait() == 0
    assert result.read_bytes() == undisturbed.weights
    assert_nothing_saved_is_repeated(settings, plan, first, second, third)


def test_an_elastic_run_on_a_node_that_is_announced_to_go_is_saved_just_in_time(
    nodes: Nodes, tmp_path: Path, undisturbed: TrainedModel
) -> None:
    # Given a run with as many workers as there is room for, that would never be saved on its way
    settings = settings_in(tmp_path, workers=3, workers_min=1)
    plan = image_plan(settings, saved_every=EPOCHS)
    running = nodes.fit(settings, plan)
    wait_for_condition(lambda: len(train_workers()) == 2, timeout=300)
    # When the provider announces that it takes a node, and takes it once the run was saved
    leaving = nodes.workers[-1]
    drain(nodes, leaving, seconds=120)
    saved = next_save(settings, plan, after=0)
    nodes.lose(leaving)
    nodes.add()
    # Then the run goes on from there, and learns as much
    trained: TrainedModel = ray.get(running)
    assert 0 < saved.epochs < EPOCHS
    assert workers_told(settings, plan)[0] == 2
    assert_nothing_saved_is_repeated(settings, plan, saved)
    agreement = undisturbed.metrics["agreement"]
    assert trained.metrics["agreement"] == pytest.approx(agreement, abs=0.1)


def assert_nothing_saved_is_repeated(settings: Settings, plan: TrainingPlan, *saves: Save) -> None:
    """Every epoch was taken, and after each blow none that had been saved when it fell.

    Those after it may come twice, where the run had told of them already.
    """
    told = epochs_told(settings, plan)
    assert {each.step for each in told} == set(range(1, EPOCHS + 1))
    for save in saves:
        again = [each.step for each in told if each.at > save.at and each.step <= save.epochs]
        assert not again, (save, again)


def next_save(settings: Settings, plan: TrainingPlan, *, after: int) -> Save:
    """Return how many epochs are saved as soon as more than `after` are."""
    wait_for_condition(
        lambda: saved_epochs(settings, plan) > after, timeout=300, retry_interval_ms=20
    )
    return Save(saved_epochs(settings, plan), time.time())


def saved_epochs(settings: Settings, plan: TrainingPlan) -> int:
    """Return how many epochs the newest checkpoint holds of those that Ray Train knows of."""
    run = settings.data_dir / "objects" / plan.snapshot.folder / "runs" / plan.name
    try:
        known = json.loads((run / "checkpoint_manager_snapshot.json").read_bytes())
    except (FileNotFoundError, ValueError):  # not there yet, or being written
        return 0
    newest = known["latest_checkpoint_result"]
    return int(newest["metrics"].get("epochs", EPOCHS)) if newest else 0


def train_workers() -> list[int]:
    """Return the processes that train on the nodes of this test."""
    return processes("RayTrainWorker")


def start_driver(nodes: Nodes, settings: Settings) -> "subprocess.Popen[bytes]":
    """Start a process that joins the cluster, trains, and stores the weights in its folder."""
    command = (sys.executable, "-m", training_driver.__name__, nodes.cluster.address)
    return subprocess.Popen(
        (*command, str(settings.data_dir)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def drain(nodes: Nodes, node: Any, seconds: float) -> None:
    """Announce that a node is going to be taken away, as providers of spot machines do."""
    raylet: Any = ray._raylet
    messages: Any = autoscaler_pb2
    client = raylet.GcsClient(address=nodes.cluster.address)
    deadline_ms = int((time.time() + seconds) * 1_000)
    reason = messages.DRAIN_NODE_REASON_PREEMPTION
    accepted, why_not = client.drain_node(node.node_id, reason, "spot", deadline_ms)
    assert accepted, why_not
