"""Replicas come with the backlog of chunks and go with it, over several nodes."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest
import ray
from ray import serve
from ray._common.test_utils import wait_for_condition
from ray.cluster_utils import Cluster
from ray.serve.handle import DeploymentHandle

from cluster.clock import SystemClock
from cluster.domain.jobs import JobState
from cluster.model_settings import PrelabelSettings
from cluster.runner import JobDesk
from cluster.settings import Settings
from cluster.stores.memory import memory_stores
from cluster.stores.objects import open_objects
from serve_apps.prelabel.deployment import (
    Prelabel,
    RemotePredictor,
    prelabel_deployment,
    running_replicas,
)
from serve_apps.prelabel.stage import PrelabelStage
from serve_apps.prelabel.work import ChunkOutcome, ChunkWork
from tests.unit.prelabel.support import a_job, store_chunk

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

NODES, CHUNKS, ROWS = 3, 240, 10
BASE_MODEL = "fake:20"
"""Twenty milliseconds an item: a backlog of 48 seconds for one replica."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    prelabel = PrelabelSettings(
        replicas_min=0,
        replicas_max=NODES,
        cpus_per_replica=1.0,
        upscale_delay_s=0.0,
        downscale_delay_s=1.0,
    )
    return Settings(data_dir=tmp_path_factory.mktemp("data"), prelabel=prelabel)


@pytest.fixture(scope="module")
def handle(settings: Settings) -> Iterator[DeploymentHandle[Prelabel]]:
    """Replicas on a cluster of a head without work and nodes with room for one each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(NODES):
        cluster.add_node(num_cpus=1)
    ray.init(cluster.address, log_to_driver=False)
    serve.start(proxy_location="Disabled")
    yield serve.run(prelabel_deployment(settings), name="prelabel", route_prefix=None)
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]


class Onlooker:
    """Sends chunks on and notes the most replicas and nodes there ever were."""

    def __init__(self, predictor: RemotePredictor) -> None:
        self._predictor = predictor
        self.replicas_most = 0

    @property
    def replicas(self) -> int:
        self.replicas_most = max(self.replicas_most, self._predictor.replicas)
        return self._predictor.replicas

    @property
    def may_grow(self) -> bool:
        return self._predictor.may_grow

    def submit(self, work: ChunkWork) -> Future[ChunkOutcome]:
        return self._predictor.submit(work)


def test_a_backlog_brings_replicas_on_every_node_and_its_end_sends_them_away(
    handle: DeploymentHandle[Prelabel], settings: Settings
) -> None:
    # Given no replica, and a job of many chunks
    assert running_replicas() == 0
    objects = open_objects(settings.objects)
    stores = memory_stores(objects)
    job = stores.jobs.create(a_job(base_model=BASE_MODEL), None)
    for number in range(CHUNKS):
        texts = [f"text {number} {row}" for row in range(ROWS)]
        stores.chunks.add([store_chunk(objects, texts, number, number * ROWS)])
    predictor = RemotePredictor(handle, settings.prelabel)
    onlooker = Onlooker(predictor)

    # When it is pre-labelled
    desk = JobDesk(job, stores.jobs, stores.events, SystemClock())
    state = PrelabelStage(stores, settings.prelabel, onlooker, SystemClock()).run(desk)
    predictor.close()

    # Then there was a replica on every node, and soon there is none again
    assert state is JobState.ASKING
    assert desk.job.progress.prelabelled == CHUNKS * ROWS
    assert onlooker.replicas_most == NODES
    wait_for_condition(lambda: running_replicas() == 0, timeout=90.0)
