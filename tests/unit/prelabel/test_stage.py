from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

import pytest

from cluster.domain.ids import JobId
from cluster.domain.jobs import Job, JobState
from cluster.domain.labels import Label, LabelSet
from cluster.domain.lines import Stage
from cluster.domain.models import Lineage, ModelRecord
from cluster.errors import JobCancelled, ModelUnusable, ObjectMissing
from cluster.jobs import request_cancel
from cluster.model_settings import PrelabelSettings
from cluster.ports import Stores
from cluster.replica_errors import ReplicaLost
from cluster.runner import JobDesk
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from serve_apps.prelabel.fake import POISON
from serve_apps.prelabel.hunt import Rows
from serve_apps.prelabel.local import LocalPredictor
from serve_apps.prelabel.predictor import ChunkPredictor
from serve_apps.prelabel.stage import PrelabelStage
from serve_apps.prelabel.window import ATTEMPTS_MAX
from serve_apps.prelabel.work import BulkPredictor, ChunkOutcome, ChunkWork
from tests.model_lines import go_back, go_live, try_out
from tests.unit.prelabel.support import (
    JOB,
    MODEL,
    StepClock,
    a_job,
    model_spec,
    predictor_over,
    read_predictions,
    store_chunk,
)

SETTINGS = PrelabelSettings(chunks_per_replica=3)


class Replicas:
    """Pre-labels in the caller's thread, losing some chunks as often as it is told to."""

    def __init__(self, predictor: ChunkPredictor, losses: dict[int, int] | None = None) -> None:
        self._predictor = predictor
        self._losses = Counter(losses or {})
        self.submitted: list[int] = []

    @property
    def replicas(self) -> int:
        return 1

    @property
    def may_grow(self) -> bool:
        return True

    def submit(self, work: ChunkWork) -> Future[ChunkOutcome]:
        number = work.chunk.number
        if work.trial is None:
            self.submitted.append(number)
        future: Future[ChunkOutcome] = Future()
        if self._losses[number] and work.trial is None:
            self._losses[number] -= 1
            future.set_exception(ReplicaLost(f"chunk {number}"))
        else:
            future.set_result(self._predictor.predict(work))
        return future


def some_stores(chunks: int = 5, poison_in: int | None = None) -> tuple[Stores, Job]:
    """Return stores that hold a job in PRELABELLING with chunks of ten items."""
    stores = memory_stores(MemoryObjects())
    job = stores.jobs.create(a_job(), None)
    for number in range(chunks):
        contents = [f"text {number} {index}" for index in range(10)]
        if number == poison_in:
            contents[4] = POISON
        stores.chunks.add([store_chunk(stores.objects, contents, number, number * 10)])
    return stores, job


def run(stores: Stores, predictor: BulkPredictor) -> tuple[JobState, Job]:
    desk = JobDesk(stores.jobs.load(JOB), stores.jobs, stores.events, StepClock())
    state = PrelabelStage(stores, SETTINGS, predictor, StepClock()).run(desk)
    return state, stores.jobs.load(JOB)


@contextmanager
def local(stores: Stores) -> Iterator[LocalPredictor]:
    predictor = LocalPredictor(predictor_over(stores.objects))
    yield predictor
    predictor.close()


def predicted(stores: Stores) -> dict[int, int]:
    """Return the version by which each chunk was last pre-labelled."""
    return {each.number: each.model_version for each in stores.chunks.predictions(JOB)}


def test_every_chunk_is_predicted_and_the_job_goes_on_to_asking() -> None:
    # Given a job of five chunks and two threads
    stores, _ = some_stores()
    # When its stage runs
    with local(stores) as predictor:
        state, job = run(stores, predictor)
    # Then all is pre-labelled by the zero-shot version, which the stage began the line with
    assert state is JobState.ASKING
    assert predicted(stores) == dict.fromkeys(range(5), 0)
    assert stores.models.live(MODEL).spec == model_spec()
    assert (job.progress.prelabelled, job.progress.poisoned) == (50, 0)
    for each in stores.chunks.predictions(JOB):
        positions, probabilities = read_predictions(stores.objects, each.predictions_path)
        assert positions == list(range(each.number * 10, each.number * 10 + 10))
        assert probabilities.shape == (10, 3)


def test_the_history_says_how_much_and_how_fast() -> None:
    stores, _ = some_stores()
    run(stores, Replicas(predictor_over(stores.objects)))
    (event,) = [e for e in stores.events.read(JOB, 0, 100) if e.kind == "prelabel.done"]
    assert event.figures["items"] == 50
    assert event.figures["items_per_s"] == 50 / event.figures["seconds"]
    assert event.figures["model_version"] == 0


def test_what_the_live_version_has_done_is_not_done_again() -> None:
    # Given a job whose runner died after two chunks
    stores, _ = some_stores()
    replicas = Replicas(predictor_over(stores.objects))
    run(stores, replicas)
    done = [each for each in stores.chunks.predictions(JOB) if each.number < 2]
    stores = replace(stores, chunks=memory_stores(stores.objects).chunks)
    for number in range(5):
        contents = [f"text {number} {index}" for index in range(10)]
        stores.chunks.add([store_chunk(stores.objects, contents, number, number * 10)])
    stores.chunks.set_predicted(done)
    # When the stage runs again
    replicas.submitted.clear()
    _, job = run(stores, replicas)
    # Then only the other three were done
    assert replicas.submitted == [2, 3, 4]
    assert job.progress.prelabelled == 50
    replicas.submitted.clear()
    run(stores, replicas)
    assert replicas.submitted == []


def test_a_promoted_version_does_every_chunk_again() -> None:
    stores, _ = some_stores(chunks=2, poison_in=0)
    replicas = Replicas(predictor_over(stores.objects))
    run(stores, replicas)
    record = ModelRecord(spec=model_spec(version=1), lineage=None, created_at=0.0)
    stores.models.add(record)
    go_live(stores.lines, MODEL, 1)
    _, job = run(stores, replicas)
    assert predicted(stores) == {0: 1, 1: 1}
    assert (job.progress.prelabelled, job.progress.poisoned) == (20, 1)


def test_a_version_that_is_rolled_back_gives_way_to_the_one_before_it() -> None:
    # Given a job pre-labelled by a version that is live
    stores, _ = some_stores(chunks=2)
    replicas = Replicas(predictor_over(stores.objects))
    run(stores, replicas)
    record = ModelRecord(spec=model_spec(version=1), lineage=None, created_at=0.0)
    stores.models.add(record)
    go_live(stores.lines, MODEL, 1)
    run(stores, replicas)
    # When it is rolled back, and a runner of before comes late with what it did
    late = stores.chunks.predictions(JOB)
    go_back(stores.lines, MODEL, 0)
    run(stores, replicas)
    stores.chunks.set_predicted(late)
    # Then the older version has the word
    assert predicted(stores) == {0: 0, 1: 0}


def test_a_version_on_trial_serves_the_job_that_trained_it_and_no_other() -> None:
    for trained_by, served in ((JOB, 1), (JobId("job-9"), 0)):
        stores, _ = some_stores(chunks=1)
        replicas = Replicas(predictor_over(stores.objects))
        run(stores, replicas)
        stores.models.add(
            ModelRecord(spec=model_spec(version=1), lineage=lineage(trained_by), created_at=0.0)
        )
        try_out(stores.lines, MODEL, 1, Stage.SHADOW)
        run(stores, replicas)
        assert predicted(stores) == {0: served}


def lineage(job_id: JobId) -> Lineage:
    return Lineage(
        job_id=job_id,
        round=1,
        parent=0,
        recipe="text_head",
        snapshot_path="",
        snapshot_hash="",
        code_version="0.1.0",
        seed=0,
    )


def test_a_chunk_whose_replica_is_lost_is_done_again_after_the_others() -> None:
    stores, _ = some_stores()
    replicas = Replicas(predictor_over(stores.objects), losses={0: ATTEMPTS_MAX - 1, 3: 1})
    run(stores, replicas)
    assert predicted(stores) == dict.fromkeys(range(5), 0)
    assert Counter(replicas.submitted) == {0: ATTEMPTS_MAX, 1: 1, 2: 1, 3: 2, 4: 1}
    assert replicas.submitted[3] != 0


def test_a_chunk_that_always_loses_its_replica_ends_the_job() -> None:
    stores, _ = some_stores()
    replicas = Replicas(predictor_over(stores.objects), losses={1: ATTEMPTS_MAX})
    with pytest.raises(ModelUnusable, match="chunk 1 loses its replica"):
        run(stores, replicas)
    assert 0 in predicted(stores)


class Mortal(Replicas):
    """A process that ends over certain rows, and is replaced."""

    def __init__(self, predictor: ChunkPredictor, deadly: set[tuple[int, int]]) -> None:
        super().__init__(predictor)
        self._deadly = deadly

    def submit(self, work: ChunkWork) -> Future[ChunkOutcome]:
        shown = work.trial or Rows(0, work.chunk.rows)
        rows = set(range(shown.first, shown.end)).difference(work.deadly)
        if self._deadly.intersection((work.chunk.number, row) for row in rows):
            self.submitted.append(work.chunk.number)
            future: Future[ChunkOutcome] = Future()
            future.set_exception(ReplicaLost(f"chunk {work.chunk.number}"))
            return future
        return super().submit(work)


def test_items_that_end_their_process_are_found_and_the_job_goes_on() -> None:
    # Given two items over which every replica dies
    stores, _ = some_stores()
    replicas = Mortal(predictor_over(stores.objects), deadly={(1, 0), (1, 7)})

    # When the stage runs
    state, job = run(stores, replicas)

    # Then all items have predictions, and those two are named
    assert state is JobState.ASKING
    assert predicted(stores) == dict.fromkeys(range(5), 0)
    assert (job.progress.prelabelled, job.progress.poisoned) == (50, 2)
    (event,) = [e for e in stores.events.read(JOB, 0, 100) if e.kind == "prelabel.poison"]
    assert event.message == (
        "item-10: the model fails on this item (ReplicaLost); its pre-label is uniform; "
        "item-17: the model fails on this item (ReplicaLost); its pre-label is uniform"
    )
    path = next(p.predictions_path for p in stores.chunks.predictions(JOB) if p.number == 1)
    _, probabilities = read_predictions(stores.objects, path)
    assert probabilities[[0, 7]].tolist() == [[pytest.approx(1 / 3)] * 3] * 2
    assert probabilities[1].max() >= 0.5


def test_poison_is_counted_and_named_in_the_history() -> None:
    stores, _ = some_stores(poison_in=2)
    _, job = run(stores, Replicas(predictor_over(stores.objects)))
    assert (job.progress.prelabelled, job.progress.poisoned) == (50, 1)
    (event,) = [e for e in stores.events.read(JOB, 0, 100) if e.kind == "prelabel.poison"]
    assert event.message.startswith("item-24: the model fails on this item (ValueError)")
    assert event.figures == {"items": 1, "first_position": 24, "chunk": 2}


def test_a_missing_chunk_is_not_tried_again() -> None:
    stores, _ = some_stores()
    stores.objects.delete(stores.chunks.chunks(JOB)[2].items_path)
    with local(stores) as predictor, pytest.raises(ObjectMissing):
        run(stores, predictor)


class CancelledMeanwhile(Replicas):
    """Somebody cancels the job while its second chunk is on the way."""

    def __init__(self, predictor: ChunkPredictor, stores: Stores) -> None:
        super().__init__(predictor)
        self._stores = stores

    def submit(self, work: ChunkWork) -> Future[ChunkOutcome]:
        if work.chunk.number == 1:
            self._stores.jobs.save(request_cancel(self._stores.jobs.load(JOB), 1.0))
        return super().submit(work)


def test_a_cancelled_job_stops_at_the_next_chunk() -> None:
    stores, _ = some_stores(chunks=50)
    replicas = CancelledMeanwhile(predictor_over(stores.objects), stores)
    with pytest.raises(JobCancelled):
        run(stores, replicas)
    assert len(replicas.submitted) == SETTINGS.chunks_per_replica


class Held(Replicas):
    """Notes how many chunks are out, and answers only when nothing more is sent."""

    def __init__(self, predictor: ChunkPredictor, expected: int) -> None:
        super().__init__(predictor)
        self._expected = expected
        self._out: list[tuple[Future[ChunkOutcome], ChunkWork]] = []
        self.out_max = 0

    def submit(self, work: ChunkWork) -> Future[ChunkOutcome]:
        future: Future[ChunkOutcome] = Future()
        self._out.append((future, work))
        self.submitted.append(work.chunk.number)
        self.out_max = max(self.out_max, len(self._out))
        if len(self._out) == SETTINGS.chunks_per_replica or len(self.submitted) == self._expected:
            for waiting, its_work in self._out:
                waiting.set_result(self._predictor.predict(its_work))
            self._out.clear()
        return future


def test_no_more_than_the_window_is_in_flight() -> None:
    stores, _ = some_stores(chunks=10)
    replicas = Held(predictor_over(stores.objects), expected=10)
    run(stores, replicas)
    assert replicas.out_max == SETTINGS.chunks_per_replica


def test_a_line_for_other_labels_is_unusable() -> None:
    stores, _ = some_stores()
    other = LabelSet((Label("yes"), Label("no")))
    stores.models.add(ModelRecord(spec=model_spec(labels=other), lineage=None, created_at=0.0))
    go_live(stores.lines, MODEL, 0)
    with pytest.raises(ModelUnusable, match="for other labels"):
        run(stores, Replicas(predictor_over(stores.objects)))


def test_a_job_without_chunks_is_done_at_once() -> None:
    stores, job = some_stores(chunks=0)
    assert job.job_id == JobId(JOB)
    state, _ = run(stores, Replicas(predictor_over(stores.objects)))
    assert state is JobState.ASKING
