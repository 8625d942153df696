import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray
from ray import serve
from ray.serve.handle import DeploymentHandle

from cluster.clock import SystemClock
from cluster.domain.jobs import JobState
from cluster.errors import ModelUnusable, ObjectMissing
from cluster.model_settings import PrelabelSettings
from cluster.runner import JobDesk
from cluster.settings import Settings
from cluster.stores.memory import memory_stores
from cluster.stores.objects import open_objects
from serve_apps.prelabel.deployment import Prelabel, RemotePredictor, prelabel_deployment
from serve_apps.prelabel.fake import BREAKING, DEADLY, HANGING, POISON
from serve_apps.prelabel.job import dedicated
from serve_apps.prelabel.local import LocalPredictor
from serve_apps.prelabel.predictor import ChunkPredictor
from serve_apps.prelabel.stage import PrelabelStage
from serve_apps.prelabel.work import ChunkOutcome, ChunkWork
from tests.unit.prelabel.support import (
    JOB,
    a_job,
    model_spec,
    predictor_over,
    read_predictions,
    store_chunk,
)

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

BASE_MODEL = "fake:10"
"""Ten milliseconds an item, so that the replica dies over chunks and not between them."""

CHUNKS, ROWS = 60, 10


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    prelabel = PrelabelSettings(
        replicas_min=2, replicas_max=2, cpus_per_replica=0.1, chunk_timeout_s=30.0
    )
    return Settings(data_dir=tmp_path_factory.mktemp("data"), prelabel=prelabel)


@pytest.fixture(scope="module")
def handle(settings: Settings) -> Iterator[DeploymentHandle[Prelabel]]:
    ray.init("local", include_dashboard=False, num_cpus=2, log_to_driver=False)
    serve.start(proxy_location="Disabled")
    yield serve.run(prelabel_deployment(settings), name="prelabel", route_prefix=None)
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


def replica_pids() -> list[int]:
    """Return the process ids of the replicas below this process."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").glob("[0-9]*")}
    return [pid for pid in parents if _descends(pid, parents) and "ServeReplica" in _command(pid)]


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _descends(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != os.getpid():
        pid = parents[pid]
    return pid == os.getpid()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Assassin:
    """Sends chunks on, and kills all replicas with SIGKILL once a third of them are sent."""

    def __init__(self, predictor: RemotePredictor) -> None:
        self._predictor = predictor
        self._sent = 0
        self.killed: list[int] = []

    def submit(self, work: ChunkWork) -> Future[ChunkOutcome]:
        self._sent += 1
        if self._sent == CHUNKS // 3:
            self.killed = replica_pids()
            for pid in self.killed:
                os.kill(pid, signal.SIGKILL)
        return self._predictor.submit(work)

    @property
    def sent(self) -> int:
        return self._sent

    @property
    def replicas(self) -> int:
        return self._predictor.replicas

    @property
    def may_grow(self) -> bool:
        return self._predictor.may_grow


def test_replicas_killed_in_the_middle_cost_the_job_nothing(
    handle: DeploymentHandle[Prelabel], settings: Settings
) -> None:
    # Given a job of many chunks and two replicas
    objects = open_objects(settings.objects)
    stores = memory_stores(objects)
    job = stores.jobs.create(a_job(base_model=BASE_MODEL), None)
    texts = [f"text {index}" for index in range(CHUNKS * ROWS)]
    for number in range(CHUNKS):
        first = number * ROWS
        stores.chunks.add([store_chunk(objects, texts[first : first + ROWS], number, first)])
    predictor = RemotePredictor(handle, settings.prelabel)
    assassin = Assassin(predictor)
    # When both are killed while the stage runs
    desk = JobDesk(job, stores.jobs, stores.events, SystemClock())
    state = PrelabelStage(stores, settings.prelabel, assassin, SystemClock()).run(desk)
    predictor.close()
    # Then chunks were lost and done again, and every item has its own pre-label
    assert state is JobState.ASKING
    assert assassin.killed
    assert assassin.sent > CHUNKS
    assert desk.job.progress.prelabelled == CHUNKS * ROWS
    expected = predictor_over(objects).predict_online(texts, model_spec()).probabilities
    found = [
        read_predictions(objects, each.predictions_path) for each in stores.chunks.predictions(JOB)
    ]
    assert [position for positions, _ in found for position in positions] == list(range(len(texts)))
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in found]), expected)


@pytest.mark.usefixtures("handle")
@pytest.mark.parametrize("bad", [DEADLY, BREAKING, HANGING])
def test_an_item_that_ends_or_spoils_every_replica_is_found_and_the_job_goes_on(
    settings: Settings, bad: str
) -> None:
    # Given a job of two chunks, one of which holds an item over which the process aborts
    objects = open_objects(f"{settings.objects}/{bad}")
    prelabel = settings.prelabel.model_copy(update={"chunk_timeout_s": 4.0})
    update = {"objects_uri": f"{settings.objects}/{bad}", "prelabel": prelabel}
    settings = settings.model_copy(update=update)
    stores = memory_stores(objects)
    job = stores.jobs.create(a_job(), None)
    texts = ["one", "two", bad, "four"]
    for number in range(2):
        contents = texts if number else [f"{text} again" for text in ("five", "six")]
        stores.chunks.add([store_chunk(objects, contents, number, number * 2)])
    app = serve.run(prelabel_deployment(settings), name="mortal", route_prefix=None)
    predictor = RemotePredictor(app, settings.prelabel)

    # When the stage runs
    desk = JobDesk(job, stores.jobs, stores.events, SystemClock())
    state = PrelabelStage(stores, settings.prelabel, predictor, SystemClock()).run(desk)
    predictor.close()
    serve.delete("mortal")

    # Then that item is named, and all others have their pre-labels
    assert state is JobState.ASKING
    assert (desk.job.progress.prelabelled, desk.job.progress.poisoned) == (6, 1)
    (event,) = [e for e in stores.events.read(JOB, 0, 100) if e.kind == "prelabel.poison"]
    assert event.message.startswith("item-4: the model fails on this item (ReplicaLost)")


class Idle:
    """Shared replicas that nobody may need; notes the chunks that come to them all the same."""

    replicas = 1
    may_grow = False

    def __init__(self, predictor: ChunkPredictor) -> None:
        self._local = LocalPredictor(predictor)
        self.chunks: list[int] = []

    def submit(self, work: ChunkWork) -> Future[ChunkOutcome]:
        self.chunks.append(work.chunk.number)
        return self._local.submit(work)


@pytest.mark.usefixtures("handle")
def test_a_dedicated_job_brings_its_own_replicas_and_leaves_to_others_what_kills_them(
    settings: Settings,
) -> None:
    # Given a job of its own replicas, one of whose chunks ends any process that meets it
    objects = open_objects(f"{settings.objects}/dedicated")
    settings = settings.model_copy(update={"objects_uri": f"{settings.objects}/dedicated"})
    stores, asked = memory_stores(objects), a_job()
    spec = replace(asked.spec, dedicated=True)
    job = stores.jobs.create(replace(asked, spec=spec), None)
    for number in range(8):
        contents = [f"text {number} {row}" for row in range(ROWS)]
        contents[3] = DEADLY if number == 5 else contents[3]
        stores.chunks.add([store_chunk(objects, contents, number, number * ROWS)])
    deaths: list[str] = []
    shared = Idle(predictor_over(objects, die=lambda: deaths.append("died")))

    # When the stage runs
    desk = JobDesk(job, stores.jobs, stores.events, SystemClock())
    stage = PrelabelStage(
        stores, settings.prelabel, shared, SystemClock(), dedicated=dedicated(settings)
    )
    stage.run(desk)

    # Then all is pre-labelled, and that chunk has come to the shared replicas, with any beside it
    assert desk.job.progress.prelabelled == 8 * ROWS
    assert 5 in shared.chunks
    # How many were beside it at each of its deaths hangs on who was faster
    assert len(shared.chunks) < 8
    assert deaths


def test_online_requests_share_the_replicas(handle: DeploymentHandle[Prelabel]) -> None:
    response = handle.predict_online.remote(["a dog", POISON], model_spec())
    answer = response.result(timeout_s=30)
    assert answer.version == model_spec().version
    probabilities = answer.probabilities
    assert probabilities.shape == (2, 3)
    np.testing.assert_array_equal(probabilities[1], np.float32(1 / 3))


def test_faults_cross_the_cluster_as_what_they_are(
    handle: DeploymentHandle[Prelabel], settings: Settings
) -> None:
    objects = open_objects(settings.objects)
    predictor = RemotePredictor(handle, settings.prelabel)
    chunk = store_chunk(objects, ["text"], number=999)
    unusable = predictor.submit(ChunkWork(chunk=chunk, model=model_spec("fake:slow")))
    with pytest.raises(ModelUnusable) as caught:
        unusable.result(30)
    assert type(caught.value) is ModelUnusable
    assert str(caught.value).endswith("its encoder cannot be loaded (ValueError)")
    objects.delete(chunk.items_path)
    missing = predictor.submit(ChunkWork(chunk=chunk, model=model_spec()))
    with pytest.raises(ObjectMissing):
        missing.result(30)
    predictor.close()
