"""What Muster needs of storage, as narrow, batch-first protocols of one to seven methods.

Every adapter in `cluster.stores` passes the same conformance suite (`tests/conformance`). All
calls block; the edges that are asynchronous run them on threads. What tenants have and may have is
in `cluster.tenant_ports`. Where a call takes an `act`, it is recorded in the audit log with what is
stored, both or neither, and where nothing is stored neither is it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from cluster.domain.access import KeyRecord
from cluster.domain.audit import Act
from cluster.domain.ids import (
    JobId,
    KeyId,
    ModelName,
    Position,
    ShardId,
    TenantId,
    WorkerId,
)
from cluster.domain.items import Chunk, ChunkPrediction
from cluster.domain.jobs import IdempotencyKey, Job, JobEvent
from cluster.domain.lines import LineStep, Traffic
from cluster.domain.models import ModelRecord
from cluster.domain.results import ResultSegment
from cluster.domain.webhooks import Notice
from cluster.domain.work import AnswerColumns, Partition, WorkerProfile, WorkerTotals
from cluster.tenant_ports import (
    AuditLog,
    DeliveryQueue,
    QuotaStore,
    RetentionStore,
    UploadStore,
    Vault,
    WebhookStore,
)


class JobStore(Protocol):
    """Jobs, by tenant; saves are compare-and-set on `Job.revision`."""

    def create(
        self,
        job: Job,
        idempotency: IdempotencyKey | None,
        unfinished_max: int | None = None,
        act: Act | None = None,
        events: Sequence[JobEvent] = (),
    ) -> Job:
        """Store a new job, or return the one first stored under the same key.

        Keys are scoped to the job's tenant. Raises IdempotencyMismatch where the key came with
        another fingerprint, and QuotaExceeded where the job is new and its tenant has
        `unfinished_max` already that have not ended. A new job's history begins with `events`,
        stored with it, all or none.
        """
        ...

    def find(self, tenant_id: TenantId, idempotency: IdempotencyKey) -> Job | None:
        """Return the job first stored under a tenant's key, None where the key is new.

        Raises IdempotencyMismatch as `create` does, which alone decides between two at once.
        """
        ...

    def get(self, tenant_id: TenantId, job_id: JobId) -> Job:
        """Return a tenant's job; raises JobNotFound for another tenant's as for an unknown one."""
        ...

    def load(self, job_id: JobId) -> Job:
        """Return a job for the service's own use, whoever owns it; raises JobNotFound."""
        ...

    def page(self, tenant_id: TenantId, after: JobId | None, limit: int) -> tuple[Job, ...]:
        """Return up to `limit` of a tenant's jobs, newest first, that come after `after`."""
        ...

    def save(self, job: Job, events: Sequence[JobEvent] = (), act: Act | None = None) -> Job:
        """Store a job read at `job.revision` and return it at the next one; raises StaleRevision.

        `cancel_requested` once stored as True stays True whatever is saved. Events of the job are
        added to its history with it, all or none.
        """
        ...

    def unfinished(self) -> tuple[Job, ...]:
        """Return every job that is not in a terminal state, oldest first."""
        ...


class EventLog(Protocol):
    """What happened to each job, in order."""

    def append(self, events: Sequence[JobEvent]) -> None:
        """Store events; each gets the next number of its job."""
        ...

    def read(self, job_id: JobId, after_seq: int, limit: int) -> tuple[JobEvent, ...]:
        """Return up to `limit` events numbered above `after_seq`, in order."""
        ...

    def newest(self, job_id: JobId) -> int:
        """Return the number of a job's newest event, 0 where there is none."""
        ...

    def notices(self, limit: int) -> tuple[Notice, ...]:
        """Return up to `limit` events that webhooks may tell of and that were not dropped yet.

        Each is stored with its event, so none is ever missing. Those of a job are in order.
        """
        ...

    def drop_notices(self, notices: Sequence[Notice]) -> None:
        """Forget notices; the events stay."""
        ...


class ChunkLedger(Protocol):
    """Which chunks a job has, and by which model version each was last pre-labelled."""

    def add(self, chunks: Sequence[Chunk]) -> None:
        """Record chunks; recording one (job, number) again changes nothing."""
        ...

    def chunks(self, job_id: JobId) -> tuple[Chunk, ...]:
        """Return a job's chunks by number."""
        ...

    def holding(self, job_id: JobId, position: Position) -> Chunk | None:
        """Return the chunk that holds an item, at a cost that does not grow with the job."""
        ...

    def set_predicted(self, predictions: Sequence[ChunkPrediction]) -> None:
        """Point chunks at predictions; one chosen earlier in the line's history replaces none."""
        ...

    def predictions(self, job_id: JobId) -> tuple[ChunkPrediction, ...]:
        """Return the newest prediction of each pre-labelled chunk, by chunk number."""
        ...


class PartitionStore(Protocol):
    """Which shard owns which part of a job."""

    def add(self, partitions: Sequence[Partition]) -> None:
        """Record partitions at epoch 0; recording one (job, number) again changes nothing."""
        ...

    def acquire(self, job_id: JobId, number: int, shard_id: ShardId) -> Partition:
        """Make a shard the owner and return the partition at its next epoch.

        From then on every append at an older epoch fails.
        """
        ...

    def owned_by(self, shard_id: ShardId) -> tuple[Partition, ...]:
        """Return a shard's partitions of unfinished jobs."""
        ...

    def of_job(self, job_id: JobId) -> tuple[Partition, ...]:
        """Return a job's partitions by number."""
        ...


class AnswerLog(Protocol):
    """The crowd's answers: the money. Append-only, at most one by a worker on an item."""

    def append(self, fence: Partition, answers: AnswerColumns) -> int:
        """Store answers of one partition durably, all or none, if `fence.epoch` is the newest.

        The log gives them numbers of its own, in their order; `answers.seq` plays no part. Returns
        the highest number of the job by then, that of the last of them, once they are synced.
        Raises StaleEpoch where the partition has a newer epoch and AlreadyAnswered where one
        (job, item, worker) is already stored.
        """
        ...

    def read(self, job_id: JobId, after_seq: int, limit: int) -> AnswerColumns:
        """Return up to `limit` answers numbered above `after_seq`; numbers rise within a job."""
        ...

    def find(
        self, job_id: JobId, slots: Sequence[tuple[Position, WorkerId]]
    ) -> tuple[int | None, ...]:
        """Return the label code stored for each item and worker, None where there is none."""
        ...

    def totals(self, worker_id: WorkerId) -> WorkerTotals:
        """Return what a worker has given so far, at a cost that does not grow with it."""
        ...


class WorkerStore(Protocol):
    """Registered workers."""

    def add(self, profile: WorkerProfile, act: Act | None = None) -> None:
        """Store a new worker."""
        ...

    def get(self, worker_id: WorkerId) -> WorkerProfile:
        """Return a worker; raises WorkerNotFound."""
        ...

    def page(self, after: WorkerId | None, limit: int) -> tuple[WorkerProfile, ...]:
        """Return up to `limit` workers by id that come after `after`."""
        ...

    def set_paused(self, worker_id: WorkerId, *, paused: bool) -> None:
        """Stop or resume giving work to a worker; raises WorkerNotFound."""
        ...


class ModelRegistry(Protocol):
    """Immutable model versions, and which of each line is live now."""

    def add(self, record: ModelRecord) -> None:
        """Store a version; storing the same (name, version) again changes nothing."""
        ...

    def get(self, name: ModelName, version: int) -> ModelRecord:
        """Return a version; raises ModelNotFound."""
        ...

    def versions(self, name: ModelName) -> tuple[ModelRecord, ...]:
        """Return a line's versions, oldest first; empty for an unknown line."""
        ...

    def names(self, prefix: str, after: ModelName | None, limit: int) -> tuple[ModelName, ...]:
        """Return up to `limit` line names that begin with `prefix` and come after `after`."""
        ...

    def live(self, name: ModelName) -> ModelRecord:
        """Return a line's live version; raises ModelNotFound."""
        ...


class ModelLines(Protocol):
    """How each model line stands, and how it came to that: steps that are only ever added."""

    def standing(self, name: ModelName) -> LineStep:
        """Return a line's newest step; raises ModelNotFound where it has none."""
        ...

    def take(self, step: LineStep, events: Sequence[JobEvent] = (), act: Act | None = None) -> None:
        """Add the next step of a line, and events to the histories of jobs with it, all or none.

        Raises StaleRevision unless its revision is the next one, and ModelNotFound where the line
        lacks its version.
        """
        ...

    def history(self, name: ModelName, before: int | None, limit: int) -> tuple[LineStep, ...]:
        """Return up to `limit` steps of a line, newest first, of revisions below `before`."""
        ...

    def came_live(self, name: ModelName, version: int) -> LineStep:
        """Return the newest step by which a version became live; raises ModelNotFound."""
        ...

    def trials(self) -> tuple[LineStep, ...]:
        """Return the newest step of every line that has a version on trial, by name."""
        ...


class TrafficStore(Protocol):
    """What online requests have shown of versions."""

    def add(self, seen: Sequence[Traffic]) -> None:
        """Add to what is stored of each version in its stage."""
        ...

    def of(self, name: ModelName) -> tuple[Traffic, ...]:
        """Return what is stored of a line's versions, by version and stage."""
        ...


class ResultLog(Protocol):
    """The run of result segments of each job."""

    def append(self, segment: ResultSegment) -> None:
        """Add the next segment; raises StaleRevision unless `number` and `first_row` continue."""
        ...

    def segments(self, job_id: JobId, from_row: int, limit: int) -> tuple[ResultSegment, ...]:
        """Return up to `limit` segments that hold rows from `from_row` on, in order."""
        ...

    def before(self, job_id: JobId, number: int | None, limit: int) -> tuple[ResultSegment, ...]:
        """Return up to `limit` segments, newest first, of those before `number` where given."""
        ...


class KeyStore(Protocol):
    """API keys, hashed."""

    def add(self, record: KeyRecord, act: Act | None = None) -> None:
        """Store a key; storing the same key id again replaces nothing."""
        ...

    def find(self, key_id: KeyId) -> KeyRecord | None:
        """Return a key by its public id."""
        ...

    def revoke(self, key_id: KeyId, act: Act | None = None) -> None:
        """Make a key useless from now on."""
        ...


class ObjectStore(Protocol):
    """Immutable objects by relative path; a write is all or nothing, a reader never sees half.

    A write raises StorageFull where there is no room for it; whatever asks a store over a network
    raises StorageUnreachable where it does not answer, also reads of what is open.
    """

    def write(self, path: str, content: bytes) -> None:
        """Store bytes under a path, replacing what was there."""
        ...

    def read(self, path: str) -> bytes:
        """Return an object's bytes; raises ObjectMissing."""
        ...

    def open_input(self, path: str) -> BinaryIO:
        """Open an object for random access; raises ObjectMissing."""
        ...

    def open_output(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Open an object for streamed writing; it appears when the context ends without error."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the paths below a folder, sorted."""
        ...

    def delete(self, path: str) -> None:
        """Remove an object; removing a missing one changes nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Every store of one deployment, opened together by `cluster.stores.opened.open_stores`."""

    jobs: JobStore
    events: EventLog
    chunks: ChunkLedger
    partitions: PartitionStore
    answers: AnswerLog
    workers: WorkerStore
    models: ModelRegistry
    lines: ModelLines
    traffic: TrafficStore
    results: ResultLog
    keys: KeyStore
    uploads: UploadStore
    quotas: QuotaStore
    retention: RetentionStore
    webhooks: WebhookStore
    deliveries: DeliveryQueue
    audit: AuditLog
    vault: Vault
    objects: ObjectStore
    scoped: Callable[[TenantId], "Stores"] | None = None

    def for_tenant(self, tenant_id: TenantId) -> "Stores":
        """Return the stores as one tenant sees them, where the database can hold the rest back.

        Elsewhere these are returned: a second wall, behind what every call asks for by itself.
        """
        return self if self.scoped is None else self.scoped(tenant_id)
