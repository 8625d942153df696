"""Chunks pre-labelled on threads of this process: backtests, tests, and the smallest machine."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from cluster.domain.models import ModelSpec
from serve_apps.prelabel.answers import OnlineAnswer
from serve_apps.prelabel.model import Content
from serve_apps.prelabel.predictor import ChunkPredictor
from serve_apps.prelabel.work import ChunkOutcome, ChunkWork


class LocalPredictor:
    """A `BulkPredictor` over a few threads; with two, one prepares while the other infers."""

    def __init__(self, predictor: ChunkPredictor, threads: int = 2) -> None:
        self._predictor = predictor
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="prelabel")

    @property
    def replicas(self) -> int:
        """One: this process."""
        return 1

    @property
    def may_grow(self) -> bool:
        """No."""
        return False

    def submit(self, work: ChunkWork) -> Future[ChunkOutcome]:
        """Queue a chunk."""
        return self._threads.submit(self._predictor.predict, work)

    def warm(self, spec: ModelSpec) -> None:
        """Load a version here."""
        self._predictor.warm(spec)

    def close(self) -> None:
        """Finish what has begun, drop what has not, and end the threads."""
        self._threads.shutdown(cancel_futures=True)


class LocalOnline:
    """`OnlineModels` in this process, on a thread for each call."""

    def __init__(self, predictor: ChunkPredictor) -> None:
        self._predictor = predictor

    async def predict(self, contents: Sequence[Content], spec: ModelSpec) -> OnlineAnswer:
        """Return what a version says of some contents."""
        return await asyncio.to_thread(self._predictor.predict_online, contents, spec)

    async def warm(self, spec: ModelSpec) -> None:
        """Load a version here."""
        await asyncio.to_thread(self._predictor.warm, spec)
