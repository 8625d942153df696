"""The Ray Data shell: a job's own pool of replicas, for huge jobs and models that nobody else uses.

Nothing is shared with online requests or with other jobs, so nothing waits for them; in return the
model is loaded once more. The pool grows and shrinks by Ray Data's own rules.
"""

import pickle
from collections.abc import Iterator, Sequence
from functools import partial
from queue import Empty, Queue
from threading import Event, Thread
from typing import Any

import ray.data
from ray.data import ActorPoolStrategy, Dataset
from ray.exceptions import RayError

from cluster.settings import Settings
from serve_apps.prelabel.ending import ended_if_broken
from serve_apps.prelabel.opened import open_predictor
from serve_apps.prelabel.work import CHUNKS_AT_WORK, ChunkWork, Dedicated, Finished

WAITING_MAX = 1_024
"""Finished chunks that wait for the ledger; the pool pauses beyond."""

LOSSES_MAX = 1
"""How often a chunk may end its replica here; the shared replicas look for what is to blame."""

Row = dict[str, bytes]


class PooledReplica:
    """One replica of the pool; Ray Data calls it on several threads, one chunk on each."""

    def __init__(self, settings: Settings) -> None:
        self._predictor = open_predictor(settings)

    def __call__(self, row: Row) -> Row:
        """Pre-label a chunk; raises ObjectMissing, ModelUnusable."""
        work: ChunkWork = pickle.loads(row["work"])  # noqa: S301 - from this very cluster
        with ended_if_broken():
            finished = Finished(work=work, outcome=self._predictor.predict(work))
        return {"finished": pickle.dumps(finished)}


class PooledFlight:
    """A `Flight` over a Ray Data actor pool; chunks that fail are left undone."""

    def __init__(self, works: Sequence[ChunkWork], settings: Settings) -> None:
        self._finished: Queue[Finished] = Queue(WAITING_MAX)
        self._abandoned = Event()
        rows = partial(_finished, works, settings)
        self._thread = Thread(target=self._run, args=(rows,), name="dedicated", daemon=True)
        self._thread.start()

    @property
    def is_empty(self) -> bool:
        """Whether the pool has ended and all it finished was returned."""
        return not self._thread.is_alive() and self._finished.empty()

    def advance(self, timeout_s: float) -> list[Finished]:
        """Wait for a chunk or the timeout, and return what is done."""
        try:
            found = [self._finished.get(timeout=timeout_s)]
        except Empty:
            return []
        while not self._finished.empty():
            found.append(self._finished.get_nowait())
        return found

    def abandon(self) -> None:
        """Begin nothing more; the pool's processes end with this one."""
        self._abandoned.set()

    def _run(self, rows: "partial[Iterator[Finished]]") -> None:
        for finished in rows():
            if self._abandoned.is_set():
                return
            self._finished.put(finished)


def dedicated(settings: Settings) -> Dedicated:
    """Return the way to replicas of a job's own, over the cluster this process has joined."""
    return partial(PooledFlight, settings=settings)


def _finished(works: Sequence[ChunkWork], settings: Settings) -> Iterator[Finished]:
    try:
        for row in _pooled(works, settings).iter_rows():
            finished: Finished = pickle.loads(row["finished"])  # noqa: S301 - from this cluster
            yield finished
    except RayError:
        return


def _pooled(works: Sequence[ChunkWork], settings: Settings) -> Dataset:
    prelabel = settings.prelabel
    rows = [{"work": pickle.dumps(work)} for work in works]
    data = ray.data.from_items(rows, override_num_blocks=len(rows))
    data.context.max_errored_blocks = -1
    data.context.enable_progress_bars = False
    options: dict[str, Any] = {
        "num_cpus": prelabel.cpus_per_replica,
        "num_gpus": prelabel.gpus_per_replica,
        "max_task_retries": LOSSES_MAX,
    }
    pool = ActorPoolStrategy(
        min_size=1,
        max_size=prelabel.dedicated_replicas_max,
        max_concurrent_calls_per_actor=CHUNKS_AT_WORK,
        enable_true_multi_threading=True,
    )
    replica: Any = PooledReplica  # Ray Data makes the instances, which its types do not say
    return data.map(replica, fn_constructor_args=(settings,), compute=pool, **options)
