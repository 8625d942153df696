"""Items, the chunks they travel in, and the rows that were refused."""

from dataclasses import dataclass
from typing import Literal

from cluster.domain.ids import ItemId, JobId, Position

Modality = Literal["text", "image", "text_pair"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to label: UTF-8 text, the encoded bytes of an image, or two texts as one.

    `cluster.domain.pairs` says how two texts are one content.
    """

    position: Position
    item_id: ItemId
    content: str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A contiguous run of accepted items in one immutable Parquet object.

    Positions are `first_position` up to, not including, `first_position + rows`.
    The object has the columns `position int64, line int64, item_id string, content string|binary,
    content_hash binary(16)`; `line` is the item's place in the source, counted like that of a
    `RejectedRow`.
    """

    job_id: JobId
    number: int
    first_position: Position
    rows: int
    items_path: str

    @property
    def positions(self) -> range:
        """The positions of its items."""
        return range(self.first_position, self.first_position + self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPrediction:
    """The pre-labels of one chunk by one model version, in one immutable Parquet object.

    Columns: `position int64, probabilities fixed_size_list<float>[K]`, one row an item of the
    chunk in position order. Probabilities are the model's own, before calibration. A poison item's
    row is uniform. `line_revision` is how far the history of the model's line had come when the
    version was chosen: later choices replace earlier ones, also where the version is an older one.
    """

    job_id: JobId
    number: int
    model_version: int
    line_revision: int
    predictions_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """A row of the input that was not accepted: where it stands, and exactly why.

    `line` counts from 1 in the source (records for CSV and Parquet); `code` is a stable
    machine-readable reason.
    """

    line: int
    field: str | None
    code: str
    detail: str
    item_id: ItemId | None = None


def fold_of(content_hash: bytes, folds: int) -> int:
    """Return the cross-fitting fold of an item; equal contents always share one.

    A model's head for fold f is trained without the items of fold f, so what it says of them is
    independent of the crowd's answers to them (cross-fitting, Chernozhukov et al. 2018).
    """
    return int.from_bytes(content_hash[:8], "big") % folds
