"""Builds training snapshots: joins a round's consensus with features and folds, chunk by chunk.

Behind the job's own rows come some of the line's earlier jobs (`training.earlier`); a content that
any job of the line audits is among neither (`training.held_out`). Those rows lie scattered over the
chunks of many jobs, so what was read of them is kept beside the job for its next rounds.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.items import Chunk, fold_of
from cluster.domain.jobs import Job
from cluster.errors import ModelNotFound, ObjectMissing, TrainingFailed
from cluster.ports import ObjectStore, Stores
from training.config import Recipe
from training.consensus import Consensus
from training.drift import SAMPLE_ROWS, drift
from training.earlier import Earlier, earlier_rows
from training.held_out import keep_out
from training.item_features import ItemFeatures, merged
from training.recipes import recipe_of
from training.snapshot import (
    Replayed,
    Snapshot,
    SnapshotFile,
    digest_of,
    find_snapshot,
    run_name,
    store_manifest,
)
from training.split import balance_weights, classes_seen
from training.tables import lists_of, matrix_of

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]
Hashes = frozenset[bytes]

SAMPLE_CHUNKS = 4
"""The items of so many chunks at most, spread evenly, tell whether a job is like others."""

SHARDS_WANTED = 32
SHARD_ROWS_MAX = 1_024


def build_snapshot(stores: Stores, job: Job, round_number: int) -> Snapshot:
    """Return the snapshot of a round, made now or found from before.

    Raises TrainingFailed where there is nothing sound to learn from: consensus or features are
    missing or do not fit the job, the label set is not that of the live model, or fewer than two
    classes were seen.
    """
    found = find_snapshot(stores.objects, job.job_id, round_number)
    if found is not None:
        return found
    name = run_name(job.job_id, round_number)
    _require_same_labels(stores, job, name)
    try:
        consensus = _read_consensus(stores.objects, job, round_number)
        snapshot = _write(stores, job, round_number, consensus)
    except ObjectMissing as error:
        raise TrainingFailed(name, f"{error.path} is missing") from None
    store_manifest(stores.objects, snapshot)
    return snapshot


def _require_same_labels(stores: Stores, job: Job, name: str) -> None:
    """Raise TrainingFailed where the job's label codes mean other labels to the live model."""
    try:
        live = stores.models.live(job.model_name)
    except ModelNotFound:
        return
    if live.spec.label_set.names != job.spec.label_set.names:
        raise TrainingFailed(name, f"the label set is not that of version {live.spec.version}")


def _read_consensus(objects: ObjectStore, job: Job, round_number: int) -> Consensus:
    name, classes = run_name(job.job_id, round_number), len(job.spec.label_set)
    consensus = Consensus.read(objects, job.job_id, round_number)
    if consensus.classes != classes:
        reason = f"the consensus has {consensus.classes} classes, the label set {classes}"
        raise TrainingFailed(name, reason)
    if classes_seen(consensus.train_targets) < 2:
        raise TrainingFailed(name, "the consensus holds fewer than two classes")
    return consensus


def _write(stores: Stores, job: Job, round_number: int, consensus: Consensus) -> Snapshot:
    """Write the files of a snapshot and return its manifest."""
    objects, folder = stores.objects, paths.snapshot(job.job_id, round_number)
    recipe = recipe_of(job.spec)
    chunks = stores.chunks.chunks(job.job_id)
    source = _Source(objects, job, recipe, run_name(job.job_id, round_number))
    width = source.width(chunks[0])
    held_out = keep_out(stores, job, consensus.held_out)
    train_part, audit_part = _train_part(consensus, recipe), _audit_part(consensus)
    replayed = _replay(stores, job, source, held_out, train_part.schema(width))
    rows = len(train_part.positions) + sum(len(each.rows) for each in replayed)
    shard_rows = min(SHARD_ROWS_MAX, max(1, rows // SHARDS_WANTED))
    with (
        _sheet(objects, f"{folder}/train.parquet", train_part.schema(width), shard_rows) as train,
        _sheet(objects, f"{folder}/audit.parquet", audit_part.schema(width)) as audit,
    ):
        for chunk in chunks:
            learnt, judged = train_part.within(chunk), audit_part.within(chunk)
            if len(learnt.positions) or len(judged.positions):
                features = source.read(chunk)
                train.write(learnt.join(features, recipe.folds, held_out))
                audit.write(judged.join(features, recipe.folds))
        for each in replayed:
            train.write(each.rows)
    return Snapshot(
        job_id=job.job_id,
        round=round_number,
        base_model=job.spec.base_model,
        labels=job.spec.label_set.names,
        features=width,
        folds=recipe.folds,
        inputs=recipe.inputs,
        train=_described(objects, folder, "train.parquet"),
        audit=_described(objects, folder, "audit.parquet"),
        replayed=tuple(each.said for each in replayed),
    ).sealed()


class _Again(NamedTuple):
    """Rows of an earlier job, and what the manifest says of them."""

    rows: pa.Table
    said: Replayed


def _replay(
    stores: Stores, job: Job, source: "_Source", held_out: Hashes, schema: pa.Schema
) -> list[_Again]:
    """Return the rows of earlier jobs with their features; a job that is being deleted has none."""
    found: list[_Again] = []
    now = source.sample(stores.chunks.chunks(job.job_id))
    for earlier in earlier_rows(stores, job, job.spec.seed):
        other = replace(source, job=earlier.job, name=run_name(earlier.job.job_id, earlier.round))
        chunks = stores.chunks.chunks(earlier.job.job_id)
        with suppress(ObjectMissing, TrainingFailed):
            kept_at = paths.replayed(job.job_id, earlier.job.job_id)
            rows = _rejoined(other, chunks, earlier, held_out, kept_at)
            before = other.sample(chunks)
            if len(rows) and rows.schema.equals(schema):
                said = Replayed(
                    job_id=earlier.job.job_id,
                    round=earlier.round,
                    rows=len(rows),
                    drift_p_value=drift(before, now, job.spec.seed).p_value,
                )
                found.append(_Again(rows, said))
    return found


def _rejoined(
    source: "_Source", chunks: Sequence[Chunk], earlier: Earlier, held_out: Hashes, kept_at: str
) -> pa.Table:
    if not len(earlier.positions):
        return pa.table({})
    weights = earlier.weights * balance_weights(earlier.targets, source.recipe.balance)
    columns = {"target": lists_of(earlier.targets, pa.float32()), "weight": pa.array(weights)}
    part = _Part(earlier.positions, pa.table(columns))
    features = _read_once(source, chunks, earlier.positions, kept_at)
    return part.join(features, source.recipe.folds, held_out)


def _read_once(
    source: "_Source", chunks: Sequence[Chunk], positions: Positions, kept_at: str
) -> ItemFeatures:
    """Return the features of rising positions, from chunks only what no earlier round has kept."""
    kept = ItemFeatures.read(source.objects, kept_at)
    known = np.empty(0, np.int64) if kept is None else np.intersect1d(positions, kept.positions)
    missing = np.setdiff1d(positions, known)
    parts = [] if kept is None else [kept.at(known)]
    for chunk in chunks:
        start, stop = np.searchsorted(missing, _ends(chunk))
        if start < stop:
            parts.append(source.read(chunk).at(missing[start:stop]))
    if sum(len(part.positions) for part in parts) < len(positions):
        raise TrainingFailed(source.name, "its chunks do not hold all of its items")
    features = merged(parts)
    if len(missing):
        features.write(source.objects, kept_at)
    return features


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the features of a job's chunks come from."""

    objects: ObjectStore
    job: Job
    recipe: Recipe
    name: str

    def width(self, chunk: Chunk) -> int:
        """Return the number of features of an item."""
        with self.objects.open_input(self._path(chunk)) as stream:
            width: int = pq.read_schema(stream).field("features").type.list_size
        return width

    def read(self, chunk: Chunk) -> ItemFeatures:
        """Return a chunk's features; raises ObjectMissing, TrainingFailed if they do not fit it."""
        with self.objects.open_input(self._path(chunk)) as stream:
            table = pq.read_table(stream)
        with self.objects.open_input(chunk.items_path) as stream:
            items = pq.read_table(stream, columns=["content_hash", *self._content_column()])
        positions = np.arange(*_ends(chunk))
        if not np.array_equal(table["position"].to_numpy(), positions):
            raise TrainingFailed(self.name, f"the features of chunk {chunk.number} do not fit it")
        matrix = matrix_of(table["features"])
        failed = ~table["failure"].is_null().to_numpy()
        return ItemFeatures(
            positions=positions,
            matrix=matrix,
            usable=~failed & np.isfinite(matrix).all(axis=1),
            hashes=items["content_hash"].to_pylist(),
            contents=self._contents(items),
        )

    def _content_column(self) -> list[str]:
        return [] if self.recipe.inputs == "features" else ["content"]

    def _contents(self, items: pa.Table) -> pa.Array:
        if not self._content_column():
            return pa.nulls(len(items), pa.binary())
        return items["content"].combine_chunks().cast(pa.binary())

    def sample(self, chunks: Sequence[Chunk]) -> Floats:
        """Return the features of some of a job's items, whatever is known of them."""
        some = chunks[:: max(1, -(-len(chunks) // SAMPLE_CHUNKS))]
        read = (self.read(chunk) for chunk in some)
        return np.concatenate([found.matrix[found.usable][:SAMPLE_ROWS] for found in read])

    def _path(self, chunk: Chunk) -> str:
        return paths.features(self.job.job_id, self.job.spec.base_model, chunk.number)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Rows of the consensus by rising position, to be joined with features."""

    positions: Positions
    columns: pa.Table

    def schema(self, width: int) -> pa.Schema:
        """Return the columns of the joined table."""
        joined = [
            pa.field("position", pa.int64()),
            pa.field("features", pa.list_(pa.float16(), width)),
            pa.field("content", pa.binary()),
            pa.field("fold", pa.int16()),
        ]
        return pa.schema([*joined, *self.columns.schema])

    def within(self, chunk: Chunk) -> "_Part":
        """Return the rows that lie in a chunk."""
        start, stop = (int(end) for end in np.searchsorted(self.positions, _ends(chunk)))
        return _Part(self.positions[start:stop], self.columns.slice(start, stop - start))

    def join(self, features: ItemFeatures, folds: int, held_out: Hashes = frozenset()) -> pa.Table:
        """Return the rows with their features, and which of so many folds each is of.

        Left out are rows without any, and those whose content is held out.
        """
        rows = np.searchsorted(features.positions, self.positions)
        free = np.array([features.hashes[row] not in held_out for row in rows], dtype=np.bool_)
        kept = np.flatnonzero(features.usable[rows] & free)
        rows = rows[kept]
        joined = {
            "position": pa.array(self.positions[kept]),
            "features": lists_of(features.matrix[rows], pa.float16()),
            "content": features.contents.take(pa.array(rows)),
            "fold": pa.array([fold_of(features.hashes[row], folds) for row in rows], pa.int16()),
        }
        columns = self.columns.take(kept)
        return pa.table({**joined, **{name: columns[name] for name in columns.column_names}})


def _ends(chunk: Chunk) -> tuple[int, int]:
    return chunk.first_position, chunk.first_position + chunk.rows


def _train_part(consensus: Consensus, recipe: Recipe) -> _Part:
    targets = consensus.train_targets
    columns = {
        "target": lists_of(targets, pa.float32()),
        "weight": pa.array(balance_weights(targets, recipe.balance)),
    }
    return _Part(consensus.train_positions, pa.table(columns))


def _audit_part(consensus: Consensus) -> _Part:
    posterior = lists_of(consensus.audit_posterior, pa.float32())
    return _Part(consensus.audit_positions, pa.table({"audit_posterior": posterior}))


class _Sheet:
    """A Parquet file being written in shards of bounded size."""

    def __init__(self, writer: pq.ParquetWriter, shard_rows: int) -> None:
        self._writer, self._shard_rows = writer, shard_rows

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        if len(table):
            self._writer.write_table(table, row_group_size=self._shard_rows)


@contextmanager
def _sheet(
    objects: ObjectStore, path: str, schema: pa.Schema, shard_rows: int = SHARD_ROWS_MAX
) -> Iterator[_Sheet]:
    with (
        objects.open_output(path) as stream,
        pq.ParquetWriter(
            stream, schema, compression="zstd", use_dictionary=False, write_page_checksum=True
        ) as writer,
    ):
        yield _Sheet(writer, shard_rows)


def _described(objects: ObjectStore, folder: str, name: str) -> SnapshotFile:
    path = f"{folder}/{name}"
    with objects.open_input(path) as stream:
        metadata = pq.read_metadata(stream)
    return SnapshotFile(
        name=name,
        rows=metadata.num_rows,
        shards=metadata.num_row_groups,
        sha256=digest_of(objects, path),
    )
