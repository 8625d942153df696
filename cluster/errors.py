"""Every error Muster raises on purpose, as one tree.

    MusterError
    ├── BadInput                  the request or the data is wrong; a retry will not help
    │   ├── InvalidField          a field has a wrong value
    │   ├── UnreadableSource      a source cannot be opened or is not of its format
    │   ├── EmptySource           a source holds no rows
    │   ├── MissingColumn         a table lacks a column that was asked for
    │   ├── TooLarge              something is over its limit
    │   ├── ForbiddenUri          a URI outside the allowed roots or schemes
    │   ├── ForbiddenUrl          a URL that the service must not call
    │   ├── MalformedBody         a request body breaks off or is not what it is called
    │   ├── SlowBody              a request body takes too long to come
    │   ├── UnsupportedMedia      a request body of a type that is not read here
    │   ├── UnsupportedTus        a version of the upload protocol that is not spoken here
    │   ├── UnsupportedChecksum   a piece of an upload has a checksum of a kind not known here
    │   ├── ChecksumMismatch      a piece of an upload arrived damaged
    │   └── UnknownLabel          an answer outside the job's label set
    ├── Denied
    │   ├── Unauthenticated       no key, or one nobody knows
    │   ├── WrongRole             a key that may not do this
    │   └── QuotaExceeded         a tenant has all it may have of something
    ├── NotFound
    │   ├── JobNotFound
    │   ├── JobExpired            what the job held is deleted
    │   ├── UploadNotFound
    │   ├── WorkerNotFound
    │   ├── WebhookNotFound
    │   └── ModelNotFound
    ├── Conflict
    │   ├── JobFinished           a job that has ended cannot be changed
    │   ├── JobNotReady           what was asked for does not exist yet
    │   ├── IdempotencyMismatch   a retry key came back with another request
    │   ├── StaleRevision         somebody else saved first
    │   ├── PreconditionFailed    it is not any more what the request expects it to be
    │   ├── StaleEpoch            the partition has a newer owner
    │   ├── NoEarlierVersion      a model line has no version to go back to
    │   ├── WebhookDisabled       a webhook is not sent to any more
    │   ├── UploadOffsetConflict  an upload has not come as far as a piece of it continues from
    │   └── AlreadyAnswered       this worker has answered this item
    ├── LeaseLost                 the lease is not the caller's to use
    │   ├── LeaseExpired
    │   ├── LeaseForeign
    │   └── LeaseInvalid
    ├── Unavailable               try again after `retry_after_s`
    │   ├── ShardUnavailable
    │   ├── StoreBusy
    │   ├── StorageFull           the object store has no room left
    │   ├── StorageUnreachable    the object store does not answer, or refuses
    │   ├── UploadStalled         a piece of an upload came too slowly; what came is kept
    │   ├── ReplicaLost           a model replica died or did not answer in time
    │   ├── ReplicaBroken         its process is of no use any more, and ends
    │   ├── RateLimited           a key or a tenant does more at a time than it may
    │   └── Overloaded
    └── Fault                     Muster's own work went wrong
        ├── ModelUnusable         a model cannot be loaded or gives unusable numbers
        ├── ObjectMissing         a stored object is not there
        ├── SecretUnreadable      a stored secret is sealed with a key that is not there
        ├── JobCancelled          control flow: the job was cancelled while it was worked on
        ├── JobPaused             control flow: the job was paused while it was worked on
        └── TrainingFailed

Leaves carry the ids a reader needs as attributes and build their own message; a message never
holds another exception's text. `serve_apps.gateway.problems` maps each leaf to HTTP, and a test
fails if one is missing there. Those of uploads are in `cluster.upload_errors`, those of the object
store in `cluster.storage_errors`, those of model replicas in `cluster.replica_errors`, and those of
what a tenant keeps here in `cluster.tenant_errors`.
"""

from collections.abc import Callable, Mapping

from cluster.domain.ids import JobId, ModelName, Position, WorkerId


class MusterError(Exception):
    """Base of every deliberate error; `str()` of a leaf is fit for the client it concerns."""

    def __reduce__(self) -> tuple[Callable[..., "MusterError"], tuple[object, ...]]:
        # Exception's own way calls the leaf with its message, which no leaf's constructor takes.
        return _restore, (type(self), self.args, vars(self))


def _restore(
    leaf: type[MusterError], args: tuple[object, ...], attributes: Mapping[str, object]
) -> MusterError:
    """Return an error that crossed a process boundary, as it was raised."""
    error = leaf.__new__(leaf, *args)
    vars(error).update(attributes)
    return error


class BadInput(MusterError):
    """The request or the data is wrong; sending it again will not help."""


class InvalidField(BadInput):
    """A field has a value that is not allowed."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


class UnreadableSource(BadInput):
    """A source cannot be opened, or is not of the format it claims."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"{uri} cannot be read: {reason}")
        self.uri, self.reason = uri, reason


class EmptySource(BadInput):
    """A source holds no rows at all, or none that could be accepted."""

    def __init__(self, uri: str, rejected: int = 0) -> None:
        detail = f"all {rejected} rows were rejected" if rejected else "it has no rows"
        super().__init__(f"{uri} gives no items: {detail}")
        self.uri, self.rejected = uri, rejected


class MissingColumn(BadInput):
    """A table lacks a column that the job names."""

    def __init__(self, uri: str, column: str, found: tuple[str, ...]) -> None:
        super().__init__(f"{uri} has no column {column!r}; it has {', '.join(found) or 'none'}")
        self.uri, self.column, self.found = uri, column, found


class TooLarge(BadInput):
    """Something is over its limit."""

    def __init__(self, what: str, size: int, limit: int, unit: str = "bytes") -> None:
        super().__init__(f"{what} has {size:,} {unit}; the limit is {limit:,}")
        self.what, self.size, self.limit, self.unit = what, size, limit, unit


class ForbiddenUri(BadInput):
    """A URI names a scheme or a place that the service must not open."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"{uri} is not allowed: {reason}")
        self.uri, self.reason = uri, reason


class MalformedBody(BadInput):
    """A request body breaks off, or cannot be parsed as what it claims to be."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the request body is malformed: {reason}")
        self.reason = reason


class SlowBody(BadInput):
    """A request body takes longer than it may."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the request body comes too slowly: {reason}")
        self.reason = reason


class UnsupportedMedia(BadInput):
    """A request body is of a media type that this resource does not read."""

    def __init__(self, media_type: str, supported: tuple[str, ...]) -> None:
        super().__init__(
            f"a body of type {media_type or 'unknown'} is not read here; "
            f"send {' or '.join(supported)}"
        )
        self.media_type, self.supported = media_type, supported


class UnknownLabel(BadInput):
    """An answer names a label that the job's label set does not have."""

    def __init__(self, job_id: JobId, label: str) -> None:
        super().__init__(f"job {job_id} has no label {label!r}")
        self.job_id, self.label = job_id, label


class Denied(MusterError):
    """The caller may not do this."""


class Unauthenticated(Denied):
    """There is no API key, or nobody knows it."""

    def __init__(self) -> None:
        super().__init__("send a valid API key as 'Authorization: Bearer <key>'")


class WrongRole(Denied):
    """The key is valid but its role does not cover the request."""

    def __init__(self, role: str, needed: tuple[str, ...]) -> None:
        super().__init__(f"a {role} key may not do this; it needs {' or '.join(needed)}")
        self.role, self.needed = role, needed


class NotFound(MusterError):
    """Nothing by this name, as far as the caller may know."""


class JobNotFound(NotFound):
    """The tenant has no such job."""

    def __init__(self, job_id: JobId) -> None:
        super().__init__(f"there is no job {job_id}")
        self.job_id = job_id


class WorkerNotFound(NotFound):
    """The key owns no such worker."""

    def __init__(self, worker_id: WorkerId) -> None:
        super().__init__(f"there is no worker {worker_id}")
        self.worker_id = worker_id


class ModelNotFound(NotFound):
    """No such model line or version."""

    def __init__(self, name: ModelName, version: int | None = None) -> None:
        suffix = "" if version is None else f" version {version}"
        super().__init__(f"there is no model {name}{suffix}")
        self.name, self.version = name, version


class Conflict(MusterError):
    """The request is sound but does not fit the present state."""


class JobFinished(Conflict):
    """The job has ended and cannot be changed."""

    def __init__(self, job_id: JobId, state: str) -> None:
        super().__init__(f"job {job_id} is already {state}")
        self.job_id, self.state = job_id, state


class JobNotReady(Conflict):
    """What was asked for comes later in the job's life."""

    def __init__(self, job_id: JobId, state: str, what: str) -> None:
        super().__init__(f"job {job_id} is {state}; {what} is not there yet")
        self.job_id, self.state, self.what = job_id, state, what


class IdempotencyMismatch(Conflict):
    """An Idempotency-Key was used before with a different request."""

    def __init__(self, key: str) -> None:
        super().__init__(f"Idempotency-Key {key!r} was first used with a different request")
        self.key = key


class StaleRevision(Conflict):
    """A record was changed by somebody else since it was read."""

    def __init__(self, what: str, revision: int) -> None:
        super().__init__(f"{what} is no longer at revision {revision}")
        self.what, self.revision = what, revision


class PreconditionFailed(Conflict):
    """What a request is to change has changed since the caller looked at it."""

    def __init__(self, what: str, etag: str) -> None:
        super().__init__(f"{what} has changed since; its ETag is {etag} now")
        self.what, self.etag = what, etag


class StaleEpoch(Conflict):
    """A partition has a newer owner; nothing was written."""

    def __init__(self, job_id: JobId, partition: int, epoch: int) -> None:
        super().__init__(f"partition {partition} of job {job_id} has an owner after epoch {epoch}")
        self.job_id, self.partition, self.epoch = job_id, partition, epoch


class AlreadyAnswered(Conflict):
    """This worker has already answered this item, with another label."""

    def __init__(self, job_id: JobId, position: Position, worker_id: WorkerId) -> None:
        super().__init__(f"worker {worker_id} has already answered item {position} of job {job_id}")
        self.job_id, self.position, self.worker_id = job_id, position, worker_id


class LeaseLost(MusterError):
    """The lease does not give the caller the right to answer."""


class LeaseExpired(LeaseLost):
    """The lease has run out, was released, or its shard has restarted since."""

    def __init__(self, job_id: JobId, position: Position) -> None:
        super().__init__(f"the lease on item {position} of job {job_id} has expired; claim again")
        self.job_id, self.position = job_id, position


class LeaseForeign(LeaseLost):
    """The lease was granted to another worker."""

    def __init__(self, worker_id: WorkerId) -> None:
        super().__init__(f"this lease was not granted to worker {worker_id}")
        self.worker_id = worker_id


class LeaseInvalid(LeaseLost):
    """The token is not one this service has issued."""

    def __init__(self) -> None:
        super().__init__("this is not a lease token of this service")


class Unavailable(MusterError):
    """A part of the service cannot answer now; the request may be sent again."""

    retry_after_s: float = 1.0


class ShardUnavailable(Unavailable):
    """The allocator shard is restarting."""

    def __init__(self, shard_id: int) -> None:
        super().__init__(f"allocator shard {shard_id} is restarting")
        self.shard_id = shard_id


class StoreBusy(Unavailable):
    """The database could not take the write in time."""

    def __init__(self, operation: str) -> None:
        super().__init__(f"the database is busy: {operation}")
        self.operation = operation


class RateLimited(Unavailable):
    """A key or a tenant does more at a time than it may; `limit` says what it may."""

    def __init__(self, limit: str, retry_after_s: float) -> None:
        super().__init__(f"too much at a time: {limit}")
        self.limit, self.retry_after_s = limit, retry_after_s


class Overloaded(Unavailable):
    """A bounded queue is full."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"{what} is full at {limit}")
        self.what, self.limit = what, limit


class Fault(MusterError):
    """Something inside Muster went wrong."""


class ModelUnusable(Fault):
    """A model cannot be loaded, or its numbers cannot be used."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"model {model} cannot be used: {reason}")
        self.model, self.reason = model, reason


class ObjectMissing(Fault):
    """A stored object that a record points to is not there."""

    def __init__(self, path: str) -> None:
        super().__init__(f"object {path} is missing")
        self.path = path


class JobCancelled(Fault):
    """Raised by a stage when it notices that its job was cancelled."""

    def __init__(self, job_id: JobId) -> None:
        super().__init__(f"job {job_id} was cancelled")
        self.job_id = job_id


class JobPaused(Fault):
    """Raised by a stage when it notices that its job is paused."""

    def __init__(self, job_id: JobId) -> None:
        super().__init__(f"job {job_id} is paused")
        self.job_id = job_id


class TrainingFailed(Fault):
    """A training run ended without a usable model."""

    def __init__(self, run_name: str, reason: str) -> None:
        super().__init__(f"training run {run_name} failed: {reason}")
        self.run_name, self.reason = run_name, reason
