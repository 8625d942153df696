"""Which parts of the service answer, and why the others do not."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache, partial
from pathlib import Path
from threading import Lock

from allocation.ports import Shard
from cluster.domain.ids import KeyId
from cluster.errors import MusterError
from cluster.ports import KeyStore, ObjectStore, Stores
from cluster.settings import Settings
from ingest.recognisers import why_unusable

TIMEOUT_S = 2.0
"""How long a part may take to answer."""

THREADS_MAX = 32

DISK_FREE_MIN_BYTES = 256 * 2**20
"""Less room than this and writes are about to be refused."""

_NOBODY = KeyId("readiness")
_NOWHERE = "readiness"

Probe = Callable[[], str | None]
"""Asks one part; returns why it is not ready, None where it is."""

State = Mapping[str, str | None]
"""Why each part is not ready, None where it is."""


class Readiness:
    """Asks all parts at once; nobody waits for one that hangs, and no part is asked twice at once.

    So however often readiness is asked for, a part has one question to answer.
    """

    def __init__(self, probes: Mapping[str, Probe], timeout_s: float = TIMEOUT_S) -> None:
        self._probes, self._timeout_s = probes, timeout_s
        self._threads = ThreadPoolExecutor(min(len(probes), THREADS_MAX), "readiness")
        self._asked: dict[str, Future[str | None]] = {}
        self._lock = Lock()

    def __call__(self) -> State:
        """Return how each part stands now."""
        with self._lock:
            for part, probe in self._probes.items():
                if part not in self._asked or self._asked[part].done():
                    self._asked[part] = self._threads.submit(probe)
            asked = dict(self._asked)
        wait(asked.values(), self._timeout_s)
        return {part: self._reason(future) for part, future in asked.items()}

    def _reason(self, future: Future[str | None]) -> str | None:
        if not future.done():
            return f"does not answer within {self._timeout_s:g} s"
        error = future.exception()
        if error is None:
            return future.result()
        return "does not answer" if isinstance(error, MusterError | OSError) else "breaks down"


def parts_of(
    stores: Stores, shards: Sequence[Shard], settings: Settings, prelabel_runs: Callable[[], bool]
) -> Mapping[str, Probe]:
    """Return a probe for each part; jobs need the first two, workers their shards too.

    Whether names can be recognised is a part where a model for it is set. It is found out once: the
    model is loaded for it, and another one is used only by processes that start later.
    """
    named = {"pii": cache(partial(why_unusable, settings.pii))} if settings.pii.spacy_model else {}
    return {
        "database": partial(_database, stores.keys),
        "objects": partial(_objects, stores.objects),
        "prelabel": lambda: None if prelabel_runs() else "is not deployed",
        "disk": partial(_disk, settings.data_dir),
        **named,
        **{f"allocator-{number}": partial(_shard, shard) for number, shard in enumerate(shards)},
    }


def _database(keys: KeyStore) -> None:
    keys.find(_NOBODY)


def _objects(objects: ObjectStore) -> None:
    next(iter(objects.list(_NOWHERE)), None)


def _shard(shard: Shard) -> None:
    shard.demands()


def _disk(folder: Path) -> str | None:
    free = shutil.disk_usage(folder).free
    if free >= DISK_FREE_MIN_BYTES:
        return None
    return f"has {free // 2**20} MiB free of the {DISK_FREE_MIN_BYTES // 2**20} it needs"
