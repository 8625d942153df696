"""How many chunks are in flight, and what becomes of those that come back undone."""

from concurrent.futures import Future

import pytest

from cluster.errors import ModelUnusable, MusterError, Overloaded, StoreBusy
from cluster.replica_errors import ReplicaLost
from cluster.storage_errors import StorageUnreachable
from cluster.stores.objects import MemoryObjects
from serve_apps.prelabel.hunt import Rows
from serve_apps.prelabel.window import ATTEMPTS_MAX, DEADLY_MAX, Window
from serve_apps.prelabel.work import CHUNKS_AT_WORK, ChunkOutcome, ChunkWork
from tests.unit.prelabel.support import model_spec, predictor_over, store_chunk


class Replicas:
    """Replicas whose every answer is given by the test."""

    def __init__(self, replicas: int) -> None:
        self.replicas = replicas
        self.may_grow = True
        self.out: list[tuple[ChunkWork, Future[ChunkOutcome]]] = []

    def submit(self, work: ChunkWork) -> Future[ChunkOutcome]:
        future: Future[ChunkOutcome] = Future()
        self.out.append((work, future))
        return future

    def end_all(self, error: MusterError | None = None) -> list[ChunkWork]:
        """Answer everything that is out, and return it."""
        ended, self.out = self.out, []
        for work, future in ended:
            if error is None:
                future.set_result(outcome_of(work))
            else:
                future.set_exception(error)
        return [work for work, _ in ended]


def outcome_of(work: ChunkWork) -> ChunkOutcome:
    return ChunkOutcome(
        chunk=work.chunk.number,
        rows=work.chunk.rows,
        predictions_path="p",
        poison=(),
        encoded_rows=0,
        seconds=0.0,
    )


def works(chunks: int, rows: int = 2) -> list[ChunkWork]:
    objects = MemoryObjects()
    contents = [f"text {row}" for row in range(rows)]
    return [
        ChunkWork(chunk=store_chunk(objects, contents, number), model=model_spec())
        for number in range(chunks)
    ]


def test_the_window_follows_the_number_of_replicas() -> None:
    replicas = Replicas(1)
    window = Window(replicas, works(100), per_replica=4)
    window.advance(0.0)
    assert len(replicas.out) == 4

    replicas.replicas = 3
    window.advance(0.0)
    assert len(replicas.out) == 12

    replicas.replicas = 0
    replicas.end_all()
    window.advance(0.0)
    window.advance(0.0)
    assert len(replicas.out) == 4


def test_once_no_replica_can_be_added_each_has_one_chunk_in_hand_until_the_end() -> None:
    # Given three replicas and no more to come, and many chunks
    replicas = Replicas(3)
    replicas.may_grow = False
    window = Window(replicas, works(100), per_replica=4)
    # When the window is filled
    window.advance(0.0)
    # Then each has what it works on and one more
    assert len(replicas.out) == 3 * (CHUNKS_AT_WORK + 1)


def test_towards_the_end_each_replica_is_given_only_what_it_works_on() -> None:
    replicas = Replicas(3)
    replicas.may_grow = False
    window = Window(replicas, works(8), per_replica=4)
    window.advance(0.0)
    assert len(replicas.out) <= 3 * CHUNKS_AT_WORK + 1


def test_where_chunks_are_refused_fewer_are_sent_and_then_more_again() -> None:
    # Given eight chunks in flight, all refused
    replicas = Replicas(2)
    window = Window(replicas, works(1_000), per_replica=4)
    window.advance(0.0)
    replicas.end_all(Overloaded("the queue", 1))

    # When they have come back
    window.advance(0.0)

    # Then one is sent, none counts as lost, and the window opens with every windowful that is done
    assert window.size == 1
    sizes = []
    for _ in range(40):
        window.advance(0.0)
        replicas.end_all()
        window.advance(0.0)
        sizes.append(window.size)
    assert sizes == sorted(sizes)
    assert sizes[-1] == 8


@pytest.mark.parametrize("away", [StoreBusy("reading"), StorageUnreachable("items")])
def test_while_the_stores_are_away_no_item_and_no_model_is_suspected(away: MusterError) -> None:
    # Given chunks that lost their replicas, so that they are hunted through
    replicas = Replicas(1)
    window = Window(replicas, works(4), per_replica=4)
    for _ in range(2):
        window.advance(0.0)
        replicas.end_all(ReplicaLost("a chunk"))
        window.advance(0.0)

    # When the stores cannot be reached from the replicas for long, and then can
    for _ in range(2 * ATTEMPTS_MAX):
        window.advance(0.0)
        replicas.end_all(away)
    tried: list[ChunkWork] = []
    while not window.is_empty:
        window.advance(0.0)
        tried += replicas.end_all()

    # Then all chunks are done, and none of their items is held to be deadly
    assert sorted(work.chunk.number for work in tried if not work.trial) == [0, 1, 2, 3]
    assert all(not work.deadly for work in tried)


def test_a_hunt_is_alone_in_flight() -> None:
    # Given a chunk that was lost with all others of its window, twice
    replicas = Replicas(1)
    window = Window(replicas, works(4), per_replica=4)
    for _ in range(2):
        window.advance(0.0)
        replicas.end_all(ReplicaLost("a chunk"))
        window.advance(0.0)

    # When the stage goes on
    tried: list[ChunkWork] = []
    while not window.is_empty:
        window.advance(0.0)
        assert len(replicas.out) <= 1 or all(work.trial is None for work, _ in replicas.out)
        tried += replicas.end_all()

    # Then each was tried whole, found harmless, and done
    assert sorted(work.chunk.number for work in tried if work.trial) == [0, 1, 2, 3]
    assert sorted(work.chunk.number for work in tried if not work.trial) == [0, 1, 2, 3]
    assert all(not work.deadly for work in tried)


def test_a_chunk_whose_every_row_is_deadly_is_the_models_fault() -> None:
    replicas = Replicas(1)
    window = Window(replicas, works(1, rows=50), per_replica=1)

    def run() -> None:
        while not window.is_empty:
            window.advance(0.0)
            replicas.end_all(ReplicaLost("a chunk"))

    with pytest.raises(ModelUnusable, match=f"more than {DEADLY_MAX} of its items"):
        run()


def test_a_chunk_that_is_lost_though_no_row_is_deadly_is_given_up() -> None:
    replicas = Replicas(1)
    window = Window(replicas, works(1), per_replica=1)

    def run() -> None:
        while not window.is_empty:
            window.advance(0.0)
            is_trial = any(work.trial is not None for work, _ in replicas.out)
            replicas.end_all(None if is_trial else ReplicaLost("a chunk"))

    with pytest.raises(ModelUnusable, match=f"{ATTEMPTS_MAX} times"):
        run()


def test_a_trial_stores_nothing_and_deadly_rows_are_not_shown_to_the_model() -> None:
    objects = MemoryObjects()
    chunk = store_chunk(objects, ["a", "muster-deadly", "b", "muster-deadly"])
    predictor = predictor_over(objects)
    before = set(objects.list(""))

    tried = predictor.predict(ChunkWork(chunk=chunk, model=model_spec(), trial=Rows(2, 3)))
    after_trial = set(objects.list(""))
    done = predictor.predict(ChunkWork(chunk=chunk, model=model_spec(), deadly=(1,)))

    assert (tried.encoded_rows, after_trial) == (1, before)
    assert [row.item_id for row in done.poison] == ["item-1", "item-3"]
    assert done.encoded_rows == 3
