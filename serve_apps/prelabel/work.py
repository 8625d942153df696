"""The unit of bulk pre-labelling: one chunk by one model version, safe to do again."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from cluster.domain.items import Chunk, ChunkPrediction, RejectedRow
from cluster.domain.models import ModelSpec
from serve_apps.prelabel.hunt import Rows

CHUNKS_AT_WORK = 2
"""Chunks a replica works on at a time: one is read and tokenized while the model runs the other."""


TIMELY_ROWS = 256
"""Rows of a chunk that `chunk_timeout_s` is meant for; larger ones have as much more time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkWork:
    """A chunk to pre-label and the model version to do it with.

    The rows `deadly` have ended their process before: they are not shown to the model again. With
    `trial` those rows alone are put to the model, and nothing is stored. `traceparent` is the span
    that the work is for.
    """

    chunk: Chunk
    model: ModelSpec
    deadly: tuple[int, ...] = ()
    trial: Rows | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkOutcome:
    """A chunk whose predictions are stored.

    `encoded_rows` counts the contents the encoder ran over: exact duplicates once, none where the
    features were there already. `poison` names the items that could not be labelled; its `line`
    counts accepted items from 1, as the chunk does not know the source's lines.
    """

    chunk: int
    rows: int
    predictions_path: str
    poison: tuple[RejectedRow, ...]
    encoded_rows: int
    seconds: float

    def prediction(self, work: ChunkWork, line_revision: int) -> ChunkPrediction:
        """Return the ledger's entry for this outcome, by a version chosen at that revision."""
        return ChunkPrediction(
            job_id=work.chunk.job_id,
            number=self.chunk,
            model_version=work.model.version,
            line_revision=line_revision,
            predictions_path=self.predictions_path,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A chunk that is done."""

    work: ChunkWork
    outcome: ChunkOutcome


class Flight(Protocol):
    """Chunks on their way over some replicas, a bounded number at a time."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing left to wait for."""
        ...

    def advance(self, timeout_s: float) -> list[Finished]:
        """Send what there is room for, wait for a chunk or the timeout, and return what is done."""
        ...

    def abandon(self) -> None:
        """Drop what has not begun; what has begun stores what it stores, and harms nothing."""
        ...


Dedicated = Callable[[Sequence[ChunkWork]], Flight]
"""Sends chunks over replicas that are the job's own.

What a flight does not finish, as a chunk ended its replica or the model cannot be loaded, is left
undone without a word: the shared replicas' flight finds out why.
"""


class BulkPredictor(Protocol):
    """Somewhere chunks are pre-labelled: threads of this process, or replicas of a cluster."""

    @property
    def replicas(self) -> int:
        """How many replicas there are now, at least about; 0 while none has started."""
        ...

    @property
    def may_grow(self) -> bool:
        """Whether a backlog may start more replicas."""
        ...

    def submit(self, work: ChunkWork) -> Future[ChunkOutcome]:
        """Start on a chunk and return at once.

        The future raises ReplicaLost where the replica was lost, other Unavailable errors where too
        much waits already or the stores are out of reach (the same work may be submitted again),
        and Faults where that would not help.
        """
        ...
