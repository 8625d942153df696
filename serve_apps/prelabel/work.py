"""The unit of bulk pre-labelling: one chunk by one model version, safe to do again."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from cluster.domain.items import Chunk, ChunkPrediction, RejectedRow
from cluster.domain.models import ModelSpec

ITEM_POISON = "item-poison"
"""The code of an item the model cannot label; its prediction is uniform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkWork:
    """A chunk to pre-label and the model version to do it with."""

    chunk: Chunk
    model: ModelSpec


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

    def prediction(self, work: ChunkWork) -> ChunkPrediction:
        """Return the ledger's entry for this outcome."""
        return ChunkPrediction(
            job_id=work.chunk.job_id,
            number=self.chunk,
            model_version=work.model.version,
            predictions_path=self.predictions_path,
        )


class BulkPredictor(Protocol):
    """Somewhere chunks are pre-labelled: threads of this process, or replicas of a cluster."""

    def submit(self, work: ChunkWork) -> Future[ChunkOutcome]:
        """Start on a chunk and return at once.

        The future raises Unavailable errors (ReplicaLost among them) where the same work may be
        submitted again, and Faults where that would not help.
        """
        ...
