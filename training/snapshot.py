"""Training snapshots: the rows of one round, immutable, each file under its SHA-256.

A snapshot is a folder of `train.parquet` (position int64, features fixed_size_list<float16>[D],
content binary, target fixed_size_list<float>[K], weight float, fold int16), `audit.parquet`
(position, features, content, fold, audit_posterior fixed_size_list<float>[K]) and `manifest.json`,
which is written last: a folder without it is no snapshot yet. Its `inputs` say what the recipe
reads; a content, a text in UTF-8 or an encoded image, is null where that is features alone. Rows of
earlier jobs come behind the job's own; their positions are those in their own job.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId
from cluster.errors import ObjectMissing, TrainingFailed
from cluster.ports import ObjectStore
from training.config import Inputs
from training.data import JudgedData, TrainingData
from training.judging import thinned
from training.tables import matrix_of

_READ_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFile:
    """A file of a snapshot; `shards` counts its Parquet row groups."""

    name: str
    rows: int
    shards: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How many rows are those of another job of the line, as it believed them in a round.

    `drift_p_value` says how probably items alike would differ as much as those of the two jobs do.
    """

    job_id: JobId
    round: int
    rows: int
    drift_p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A manifest: what was learnt from, enough to tell two snapshots apart by `hash`.

    The last rows of `train` are those of `replayed`, in its order.
    """

    job_id: JobId
    round: int
    base_model: str
    labels: tuple[str, ...]
    features: int
    folds: int
    train: SnapshotFile
    audit: SnapshotFile
    inputs: Inputs = "features"
    replayed: tuple[Replayed, ...] = ()
    hash: str = ""

    @property
    def own_rows(self) -> int:
        """How many rows to learn from are the job's own."""
        return self.train.rows - sum(each.rows for each in self.replayed)

    @property
    def folder(self) -> str:
        """Where its files lie in the object store."""
        return paths.snapshot(self.job_id, self.round)

    @property
    def name(self) -> str:
        """What a run over it is called."""
        return run_name(self.job_id, self.round)

    def sealed(self) -> Self:
        """Return the manifest with its hash over everything else it says."""
        return replace(self, hash=_seal(asdict(self)))

    def to_json(self) -> bytes:
        """Return the manifest as it is stored; equal manifests give equal bytes."""
        return _json(asdict(self))

    @classmethod
    def of_json(cls, content: bytes) -> Self:
        """Return a stored manifest; raises ValueError, KeyError or TypeError for anything else.

        The hash is that of what is stored: older manifests say less.
        """
        fields = json.loads(content)
        if fields["hash"] != _seal(fields):
            raise ValueError("its hash is not that of what it says")
        fields["train"] = SnapshotFile(**fields["train"])
        fields["audit"] = SnapshotFile(**fields["audit"])
        fields["labels"] = tuple(fields["labels"])
        fields["replayed"] = tuple(Replayed(**each) for each in fields.get("replayed", ()))
        return cls(**fields)


def _seal(fields: Mapping[str, Any]) -> str:
    """Return the hash over all that a manifest says but its hash."""
    return sha256(_json({**fields, "hash": ""})).hexdigest()


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, indent=2, sort_keys=True).encode()


def run_name(job_id: JobId, round_number: int) -> str:
    """Return the name of a job's training run in a round."""
    return f"{job_id}-{round_number:06d}"


def find_snapshot(objects: ObjectStore, job_id: JobId, round_number: int) -> Snapshot | None:
    """Return a round's snapshot, verified; None where it was never finished.

    Raises TrainingFailed where a file is missing or not what the manifest says.
    """
    name = run_name(job_id, round_number)
    try:
        content = objects.read(f"{paths.snapshot(job_id, round_number)}/manifest.json")
    except ObjectMissing:
        return None
    try:
        snapshot = Snapshot.of_json(content)
    except (ValueError, KeyError, TypeError):
        raise TrainingFailed(name, "the manifest of its snapshot is corrupt") from None
    for file in (snapshot.train, snapshot.audit):
        with _readable(snapshot, file.name):
            if digest_of(objects, f"{snapshot.folder}/{file.name}") != file.sha256:
                raise TrainingFailed(name, f"{file.name} of its snapshot is corrupt")
    return snapshot


def store_manifest(objects: ObjectStore, snapshot: Snapshot) -> None:
    """Write the manifest of a snapshot whose files are in place: from now on it exists."""
    objects.write(f"{snapshot.folder}/manifest.json", snapshot.to_json())


def read_training(
    objects: ObjectStore, snapshot: Snapshot, rank: int = 0, size: int = 1
) -> TrainingData:
    """Return the rows of one of `size` workers: every `size`-th shard from the `rank`-th on.

    Raises TrainingFailed where a shard is missing or corrupt.
    """
    table = _read_shards(
        objects, snapshot, snapshot.train, range(rank, snapshot.train.shards, size)
    )
    return TrainingData(
        features=matrix_of(table["features"]),
        targets=matrix_of(table["target"]),
        weights=table["weight"].to_numpy().copy(),
        folds=table["fold"].to_numpy().astype(np.int64),
        contents=_contents(snapshot, table),
    )


def audited_positions(
    objects: ObjectStore, job_id: JobId, round_number: int
) -> npt.NDArray[np.int64]:
    """Return which items a round's snapshot audits, and read nothing else of it.

    None where it was never written; raises TrainingFailed where that file is corrupt.
    """
    path = f"{paths.snapshot(job_id, round_number)}/audit.parquet"
    try:
        with objects.open_input(path) as stream:
            positions: npt.NDArray[np.int64] = pq.read_table(stream, columns=["position"])[
                "position"
            ].to_numpy()
    except ObjectMissing:
        return np.empty(0, np.int64)
    except (pa.ArrowException, OSError):
        name = run_name(job_id, round_number)
        raise TrainingFailed(name, "audit.parquet of its snapshot is corrupt") from None
    return positions


def read_audit(objects: ObjectStore, snapshot: Snapshot) -> JudgedData:
    """Return the audited rows, never learnt from; raises TrainingFailed like `read_training`."""
    table = _audited(objects, snapshot)
    return _judged(snapshot, table, table["position"].to_numpy())


def read_judged(objects: ObjectStore, snapshot: Snapshot) -> JudgedData:
    """Return the rows that tell a candidate from the live model: `training.judging` says why.

    They are the audited ones and the job's own that were learnt from, or an even part of those.
    Raises TrainingFailed like `read_training`.
    """
    taught = _taught(objects, snapshot, thinned(np.arange(snapshot.own_rows)))
    audited = _audited(objects, snapshot)
    table = pa.concat_tables([audited, taught]).sort_by("position")
    return _judged(snapshot, table, audited["position"].to_numpy())


def _audited(objects: ObjectStore, snapshot: Snapshot) -> pa.Table:
    table = _read_shards(objects, snapshot, snapshot.audit, range(snapshot.audit.shards))
    return table.rename_columns({"audit_posterior": "posterior"})


def _taught(objects: ObjectStore, snapshot: Snapshot, rows: npt.NDArray[np.int64]) -> pa.Table:
    """Return some of the rows to learn from, shard by shard, with what is believed of them."""
    parts, first = [], 0
    for shard in range(snapshot.train.shards):
        table = _read_shards(objects, snapshot, snapshot.train, range(shard, shard + 1))
        start, stop = np.searchsorted(rows, (first, first + len(table)))
        parts.append(table.take(rows[start:stop] - first).drop_columns(["weight"]))
        first += len(table)
    return pa.concat_tables(parts).rename_columns({"target": "posterior"})


def _judged(snapshot: Snapshot, table: pa.Table, audited: npt.NDArray[np.int64]) -> JudgedData:
    positions = table["position"].to_numpy()
    return JudgedData(
        positions=positions,
        audited=np.isin(positions, audited),
        features=matrix_of(table["features"]),
        folds=table["fold"].to_numpy().astype(np.int64),
        posterior=matrix_of(table["posterior"]),
        contents=_contents(snapshot, table),
    )


def _contents(snapshot: Snapshot, table: pa.Table) -> Sequence[str | bytes]:
    if snapshot.inputs == "features":
        return ()
    contents = table["content"]
    found: list[str | bytes] = (
        contents.cast(pa.string()) if snapshot.inputs == "texts" else contents
    ).to_pylist()
    return found


def digest_of(objects: ObjectStore, path: str) -> str:
    """Return the SHA-256 of an object; raises ObjectMissing."""
    digest = sha256()
    with objects.open_input(path) as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _read_shards(
    objects: ObjectStore, snapshot: Snapshot, file: SnapshotFile, shards: range
) -> pa.Table:
    with (
        _readable(snapshot, file.name),
        objects.open_input(f"{snapshot.folder}/{file.name}") as stream,
        pq.ParquetFile(stream, page_checksum_verification=True) as parquet,
    ):
        return parquet.read_row_groups(list(shards))


@contextmanager
def _readable(snapshot: Snapshot, file_name: str) -> Iterator[None]:
    """Turn a missing or broken file into TrainingFailed."""
    try:
        yield
    except ObjectMissing:
        raise TrainingFailed(snapshot.name, f"{file_name} of its snapshot is missing") from None
    except (pa.ArrowException, OSError):
        raise TrainingFailed(snapshot.name, f"{file_name} of its snapshot is corrupt") from None
