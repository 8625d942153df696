"""Turns decided labels into result segments: immutable objects first, then the row that counts.

An item whose label is corrected is written again, under the next revision.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.items import Chunk
from cluster.domain.labels import DIFFICULTIES, LabelSet
from cluster.domain.results import PAGED_GROUP_ROWS, ResultSegment
from cluster.model_failures import failed_positions
from cluster.ports import ObjectStore, ResultLog, Stores

_SEGMENTS_PAGE = 1_000

SEGMENT_ROWS_MAX = 65_536
"""Labels of one segment at most: whoever reads a job's results holds no more of them at a time."""

_DIFFICULTIES = np.array(DIFFICULTIES, dtype=object)

SCHEMA = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("probability", pa.float32(), nullable=False),
        pa.field("decided_by", pa.string(), nullable=False),
        pa.field("answers", pa.int32(), nullable=False),
        pa.field("model_version", pa.int32(), nullable=False),
        pa.field("audited", pa.bool_(), nullable=False),
        pa.field("revision", pa.int32(), nullable=False),
        pa.field("difficulty", pa.string()),
        pa.field("model_failed", pa.bool_(), nullable=False),
    ]
)
"""The columns of `cluster.domain.results.ResultSegment`."""

_TOLD = ("position", "label", "revision", "model_failed")

REPEATED = ("label", "decided_by", "answers", "model_version", "revision", "difficulty")
"""Columns of few values, for Parquet to number; to try so with the others takes half its time."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DecidedLabels:
    """Labels to deliver, as parallel arrays (n,); `positions` rise.

    `label` holds codes of the job's label set, `decided_by` the words of `domain.labels.DecidedBy`,
    `difficulty` codes of `domain.labels.DIFFICULTIES`.
    """

    positions: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    decided_by: Sequence[str]
    answers: npt.NDArray[np.int32]
    model_version: npt.NDArray[np.int32]
    audited: npt.NDArray[np.bool_]
    revision: npt.NDArray[np.int32]
    difficulty: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.positions)

    def parts(self, rows_max: int) -> "Iterator[DecidedLabels]":
        """Yield the same labels in runs of at most so many."""
        for first in range(0, len(self), rows_max):
            part = slice(first, first + rows_max)
            columns = {each.name: getattr(self, each.name)[part] for each in fields(self)}
            yield DecidedLabels(**columns)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeliveredLabels:
    """What each item was last delivered as, (items,) each; -1 where it never was."""

    label: npt.NDArray[np.int32]
    revision: npt.NDArray[np.int32]


class ResultWriter:
    """Appends segments to one job's results; there is one writer of a job at a time."""

    def __init__(self, stores: Stores, job_id: JobId, label_set: LabelSet) -> None:
        self._stores, self._job_id = stores, job_id
        self._names = np.array(label_set.names, dtype=object)
        self._chunks = stores.chunks.chunks(job_id)
        written = deque(segments(stores.results, job_id), maxlen=1)
        self._number = written[0].number + 1 if written else 0
        self._rows = written[0].first_row + written[0].rows if written else 0
        self._failed = failed_positions(stores, job_id)
        self._unlabelled = np.zeros(_items(self._chunks), dtype=np.bool_)

    @property
    def model_failed(self) -> int:
        """How many items stand delivered that nobody answered and the model could not handle.

        Of those that `delivered` has found, and what was appended since.
        """
        return int(self._unlabelled.sum())

    def delivered(self) -> DeliveredLabels:
        """Return the newest label of every item and its revision."""
        items = _items(self._chunks)
        label, revision = (np.full(items, -1, dtype=np.int32) for _ in range(2))
        names = pa.array(self._names, pa.string())
        for segment in segments(self._stores.results, self._job_id):
            table = read_segment(self._stores.objects, segment, _TOLD)
            positions = table["position"].to_numpy()
            label[positions] = pc.index_in(table["label"], names).to_numpy()
            revision[positions] = table["revision"].to_numpy()
            self._unlabelled[positions] = table["model_failed"].to_numpy()
        return DeliveredLabels(label=label, revision=revision)

    def append(self, labels: DecidedLabels) -> None:
        """Deliver labels, in several segments where they are many; nothing where there are none."""
        for part in labels.parts(SEGMENT_ROWS_MAX):
            self._append(part)

    def _append(self, labels: DecidedLabels) -> None:
        path = paths.results(self._job_id, self._number)
        unanswered = (labels.answers == 0) & ~labels.audited
        model_failed = np.isin(labels.positions, self._failed) & unanswered
        table = pa.table(
            {
                "position": labels.positions,
                "item_id": self._item_ids(labels.positions),
                "label": pa.array(self._names[labels.label], pa.string()),
                "probability": labels.probability.astype(np.float32),
                "decided_by": pa.array(labels.decided_by, pa.string()),
                "answers": labels.answers,
                "model_version": labels.model_version,
                "audited": labels.audited,
                "revision": labels.revision,
                "difficulty": pa.array(_DIFFICULTIES[labels.difficulty], pa.string()),
                "model_failed": model_failed,
            },
            schema=SCHEMA,
        )
        with self._stores.objects.open_output(path) as stream:
            pq.write_table(
                table, stream, row_group_size=PAGED_GROUP_ROWS, use_dictionary=list(REPEATED)
            )
        segment = ResultSegment(
            job_id=self._job_id,
            number=self._number,
            first_row=self._rows,
            rows=len(labels),
            path=path,
        )
        self._stores.results.append(segment)
        self._unlabelled[labels.positions] = model_failed
        self._number += 1
        self._rows += len(labels)

    def _item_ids(self, positions: npt.NDArray[np.int64]) -> pa.Array:
        parts = [
            pc.take(_item_ids_of(self._stores.objects, chunk), pa.array(rows))
            for chunk, rows in _by_chunk(self._chunks, positions)
        ]
        return pa.chunked_array(parts, pa.string()).combine_chunks()


def segments(results: ResultLog, job_id: JobId) -> Iterator[ResultSegment]:
    """Yield every segment of a job, in order."""
    row = 0
    while page := results.segments(job_id, row, _SEGMENTS_PAGE):
        yield from page
        row = page[-1].first_row + page[-1].rows


def read_segment(
    objects: ObjectStore, segment: ResultSegment, columns: Sequence[str] = tuple(SCHEMA.names)
) -> pa.Table:
    """Return columns of a segment as in `SCHEMA`.

    Labels of older releases have revision 0, no difficulty, and no model that failed.
    """
    with objects.open_input(segment.path) as stream:
        file = pq.ParquetFile(stream)
        stored = [name for name in columns if name in file.schema_arrow.names]
        table = file.read(columns=stored)
    if "revision" in columns and "revision" not in stored:
        table = table.append_column("revision", pa.array(np.zeros(len(table), dtype=np.int32)))
    if "difficulty" in columns and "difficulty" not in stored:
        table = table.append_column("difficulty", pa.nulls(len(table), pa.string()))
    if "model_failed" in columns and "model_failed" not in stored:
        never = np.zeros(len(table), dtype=np.bool_)
        table = table.append_column("model_failed", pa.array(never))
    return table.select(columns).cast(pa.schema([SCHEMA.field(name) for name in columns]))


def newest_revisions(stores: Stores, job_id: JobId) -> npt.NDArray[np.int32]:
    """Return the revision that each item was last delivered under, (items,); -1 for never."""
    newest = np.full(_items(stores.chunks.chunks(job_id)), -1, dtype=np.int32)
    for segment in segments(stores.results, job_id):
        table = read_segment(stores.objects, segment, ["position", "revision"])
        newest[table["position"].to_numpy()] = table["revision"].to_numpy()
    return newest


def newest_tables(stores: Stores, job_id: JobId) -> Iterator[pa.Table]:
    """Yield the delivered labels of a job as in `SCHEMA`, every item once as it stands now.

    Memory grows by four bytes an item and no more.
    """
    newest = newest_revisions(stores, job_id)
    for segment in segments(stores.results, job_id):
        table = read_segment(stores.objects, segment)
        is_newest = table["revision"].to_numpy() == newest[table["position"].to_numpy()]
        yield table.filter(pa.array(is_newest))


def latest_tables(stores: Stores, job_id: JobId) -> Iterator[pa.Table]:
    """Yield the same labels as `newest_tables`, those that were delivered last first.

    Nothing is read ahead of a table, and memory grows by the items alone that were corrected: an
    earlier label of an item is known by the revision of a later one.
    """
    outdated = dict[int, int]()
    for segment in _segments_backwards(stores.results, job_id):
        table = read_segment(stores.objects, segment)
        positions = table["position"].to_numpy()
        later = np.fromiter(outdated, dtype=np.int64, count=len(outdated))
        is_newest = np.isin(positions, later, invert=True)
        for position in positions[~is_newest].tolist():
            outdated[position] -= 1
            if not outdated[position]:
                del outdated[position]
        newest = table.filter(pa.array(is_newest))
        corrected = newest.filter(pc.greater(newest["revision"], 0))
        earlier = zip(
            corrected["position"].to_pylist(), corrected["revision"].to_pylist(), strict=True
        )
        outdated.update(earlier)
        yield newest


def _segments_backwards(results: ResultLog, job_id: JobId) -> Iterator[ResultSegment]:
    number = None
    while page := results.before(job_id, number, _SEGMENTS_PAGE):
        yield from page
        number = page[-1].number


def _items(chunks: Sequence[Chunk]) -> int:
    return max((chunk.first_position + chunk.rows for chunk in chunks), default=0)


def _by_chunk(
    chunks: Sequence[Chunk], positions: npt.NDArray[np.int64]
) -> Iterator[tuple[Chunk, npt.NDArray[np.int64]]]:
    """Yield each chunk that holds some of the rising positions, with their rows in it."""
    starts = np.array([chunk.first_position for chunk in chunks], dtype=np.int64)
    bounds = np.searchsorted(positions, np.append(starts, np.iinfo(np.int64).max))
    for chunk, first, last in zip(chunks, bounds[:-1], bounds[1:], strict=True):
        if last > first:
            yield chunk, positions[first:last] - chunk.first_position


def _item_ids_of(objects: ObjectStore, chunk: Chunk) -> pa.ChunkedArray:
    with objects.open_input(chunk.items_path) as stream:
        return pq.read_table(stream, columns=["item_id"])["item_id"]
