"""The bulk path from one replica to eight, with a model whose time for an item is fixed.

On a cluster of several Ray nodes on this machine. The replicas wait and compute nothing, so that
what is lost is lost by the path: the runner's window, routing, the chunk's objects, the ledger.
"""

from pathlib import Path
from time import perf_counter

import ray
from ray import serve
from ray.cluster_utils import Cluster

from cluster.clock import SystemClock
from cluster.domain.jobs import Job
from cluster.model_settings import PrelabelSettings
from cluster.ports import Stores
from cluster.runner import JobDesk
from cluster.settings import Settings
from cluster.stores.memory import memory_stores
from cluster.stores.objects import open_objects
from serve_apps.prelabel.deployment import PRELABEL_APP, RemotePredictor, prelabel_deployment
from serve_apps.prelabel.stage import PrelabelStage
from tests.unit.prelabel.support import a_job, store_chunk

NODES, REPLICAS = 4, 8
CHUNKS_PER_REPLICA, ROWS = 60, 128
BASE_MODEL = "fake:4"


def efficiency(folder: Path) -> float:
    """Return the rate of eight replicas by eight times that of one."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(NODES):
            cluster.add_node(num_cpus=REPLICAS // NODES)
        with ray.init(cluster.address, log_to_driver=False):
            serve.start(proxy_location="Disabled")
            alone, together = (_rate(folder / str(count), count) for count in (1, REPLICAS))
            serve.shutdown()  # type: ignore[no-untyped-call]
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]
    return together / (REPLICAS * alone)


def _rate(folder: Path, replicas: int) -> float:
    """Return items a second of the stage, once all replicas run and have their model."""
    prelabel = PrelabelSettings(replicas_min=replicas, replicas_max=replicas, cpus_per_replica=1.0)
    settings = Settings(data_dir=folder, prelabel=prelabel)
    handle = serve.run(prelabel_deployment(settings), name=PRELABEL_APP, route_prefix=None)
    predictor = RemotePredictor(handle, prelabel)
    try:
        warm = range(4 * replicas)
        _stage_s(settings, predictor, warm)
        measured = range(warm.stop, warm.stop + CHUNKS_PER_REPLICA * replicas)
        rows, seconds = _stage_s(settings, predictor, measured)
        return rows / seconds
    finally:
        predictor.close()
        serve.delete(PRELABEL_APP)


def _stage_s(settings: Settings, predictor: RemotePredictor, chunks: range) -> tuple[int, float]:
    stores, job = _filled(memory_stores(open_objects(settings.objects)), chunks)
    desk = JobDesk(job, stores.jobs, stores.events, SystemClock())
    stage = PrelabelStage(stores, settings.prelabel, predictor, SystemClock())
    started = perf_counter()
    stage.run(desk)
    return desk.job.progress.prelabelled, perf_counter() - started


def _filled(stores: Stores, chunks: range) -> tuple[Stores, Job]:
    for number in chunks:
        texts = [f"text {number} {row}" for row in range(ROWS)]
        stores.chunks.add([store_chunk(stores.objects, texts, number, number * ROWS)])
    return stores, stores.jobs.create(a_job(base_model=BASE_MODEL), None)
