"""Chunks in flight: as many as the replicas can take, and never one that harms the others twice."""

from collections import Counter, deque
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace

from cluster.errors import ModelUnusable, Unavailable
from cluster.replica_errors import ReplicaBroken, ReplicaLost
from serve_apps.prelabel.hunt import Hunt
from serve_apps.prelabel.work import (
    CHUNKS_AT_WORK,
    BulkPredictor,
    ChunkOutcome,
    ChunkWork,
    Finished,
)

LOSSES_BEFORE_HUNT = 2
"""How often a chunk may lose its replica before its items are suspected."""

ATTEMPTS_MAX = 20
"""How often one chunk may lose its replica before its model is held to be the cause.

Many, for replicas are shared: another job's deadly items end them a dozen times before found out.
"""

DEADLY_MAX = 8
"""Deadly items of one chunk; beyond it is the model that cannot be used."""


class Window:
    """Keeps a bounded number of chunks in flight, by additive increase, multiplicative decrease.

    The bound is `per_replica` chunks for each replica as long as a backlog may start more. Then it
    is one more than they work on, as chunks are not spread evenly and a replica should never be
    without; and towards the end no more than that, so that who is done first gets the next. Where
    a chunk is refused, waits too long behind others, or its replica cannot reach the stores, it is
    halved, and grows by one chunk for each windowful that is done. A chunk that lost its replica
    goes to the back. One that did so twice is hunted through for deadly items, with nothing else in
    flight, as what dies beside it would be suspected too.
    """

    def __init__(
        self, predictor: BulkPredictor, works: Iterable[ChunkWork], per_replica: int
    ) -> None:
        self._predictor, self._per_replica = predictor, per_replica
        self._yielded = 1.0
        self._waiting = deque(works)
        self._flying: dict[Future[ChunkOutcome], ChunkWork] = {}
        self._losses: Counter[int] = Counter()
        self._hunts: deque[tuple[ChunkWork, Hunt]] = deque()

    @property
    def size(self) -> int:
        """How many chunks may be in flight now."""
        return max(int(self._full_size * self._yielded), 1)

    @property
    def _full_size(self) -> int:
        replicas = max(self._predictor.replicas, 1)
        at_hand = CHUNKS_AT_WORK + (len(self._waiting) > CHUNKS_AT_WORK * replicas)
        each = self._per_replica if self._predictor.may_grow else at_hand
        return min(each, self._per_replica) * replicas

    @property
    def is_empty(self) -> bool:
        """Whether all work is done."""
        return not self._waiting and not self._flying and not self._hunts

    def advance(self, timeout_s: float) -> list[Finished]:
        """Fill the window, wait for a chunk or the timeout, and return what has finished."""
        self._fill()
        ended, _ = wait(self._flying, timeout_s, FIRST_COMPLETED)
        finished = [self._ended(self._flying.pop(future), future) for future in ended]
        return [each for each in finished if each is not None]

    def abandon(self) -> None:
        """Drop what has not begun."""
        for future in self._flying:
            future.cancel()

    def _fill(self) -> None:
        if self._hunts:
            if not self._flying:
                self._try_suspects(*self._hunts[0])
            return
        while self._waiting and len(self._flying) < self.size:
            self._submit(self._waiting.popleft())

    def _submit(self, work: ChunkWork) -> None:
        self._flying[self._predictor.submit(work)] = work

    def _try_suspects(self, work: ChunkWork, hunt: Hunt) -> None:
        if hunt.suspects is None:
            self._hunts.popleft()
            self._waiting.append(replace(work, deadly=(*work.deadly, *hunt.deadly)))
        else:
            self._submit(replace(work, trial=hunt.suspects))

    def _ended(self, work: ChunkWork, future: Future[ChunkOutcome]) -> Finished | None:
        try:
            outcome = future.result()
        except (ReplicaLost, ReplicaBroken):
            self._lost(work)
        except Unavailable:
            # Too much is waiting, or a store was out of the replica's reach: no chunk's fault.
            self._yielded = max(self._yielded / 2.0, 1.0 / self._full_size)
            if work.trial is None:
                self._waiting.appendleft(work)
        else:
            self._yielded = min(self._yielded + 1.0 / self._full_size / self.size, 1.0)
            if work.trial is None:
                return Finished(work=work, outcome=outcome)
            self._hunts[0][1].survived()
        return None

    def _lost(self, work: ChunkWork) -> None:
        if work.trial is not None:
            hunt = self._hunts[0][1]
            hunt.lost()
            if len(hunt.deadly) > DEADLY_MAX:
                raise self._unusable(work, f"more than {DEADLY_MAX} of its items do")
            return
        losses = self._losses[work.chunk.number] = self._losses[work.chunk.number] + 1
        if losses >= ATTEMPTS_MAX:
            raise self._unusable(work, f"it has done so {ATTEMPTS_MAX} times")
        if losses == LOSSES_BEFORE_HUNT:
            self._hunts.append((work, Hunt(work.chunk.rows)))
        else:
            self._waiting.append(work)

    def _unusable(self, work: ChunkWork, reason: str) -> ModelUnusable:
        model = f"{work.model.name} version {work.model.version}"
        return ModelUnusable(model, f"chunk {work.chunk.number} loses its replica: {reason}")
