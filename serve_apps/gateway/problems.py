"""One table from errors to problem documents (RFC 9457); every HTTP error is made here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cluster import errors as e
from cluster import replica_errors as re
from cluster import storage_errors as se
from cluster import tenant_errors as te
from cluster import upload_errors as up
from serve_apps.gateway.schemas.base import FieldError, Problem

PROBLEM_MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """What all problems of one type share."""

    status: int
    slug: str
    title: str

    @property
    def type(self) -> str:
        """The problem type as a URI."""
        return f"urn:muster:problem:{self.slug}"


KINDS: Mapping[type[e.MusterError], Kind] = MappingProxyType(
    {
        e.InvalidField: Kind(422, "invalid-field", "A field has a value that is not allowed"),
        e.UnreadableSource: Kind(422, "unreadable-source", "A source cannot be read"),
        e.EmptySource: Kind(422, "empty-source", "A source holds no items"),
        e.MissingColumn: Kind(422, "missing-column", "A table lacks a column"),
        e.TooLarge: Kind(413, "too-large", "Something is over its limit"),
        e.ForbiddenUri: Kind(422, "forbidden-uri", "A URI outside the allowed roots"),
        te.ForbiddenUrl: Kind(422, "forbidden-url", "A URL that is not called from here"),
        e.MalformedBody: Kind(400, "malformed-body", "The request body is malformed"),
        e.SlowBody: Kind(408, "slow-body", "The request body takes too long to come"),
        e.UnsupportedMedia: Kind(415, "unsupported-media", "The body's type is not read here"),
        up.UnsupportedTus: Kind(412, "unsupported-tus", "Another version of tus is spoken here"),
        up.UnsupportedChecksum: Kind(
            400, "unsupported-checksum", "A checksum of a kind not known here"
        ),
        up.ChecksumMismatch: Kind(460, "checksum-mismatch", "A piece of an upload is damaged"),
        e.UnknownLabel: Kind(422, "unknown-label", "The job has no such label"),
        e.Unauthenticated: Kind(401, "unauthenticated", "A valid API key is needed"),
        e.WrongRole: Kind(403, "wrong-role", "The key's role does not cover this"),
        te.QuotaExceeded: Kind(403, "quota-exceeded", "The tenant has all it may have of this"),
        e.JobNotFound: Kind(404, "job-not-found", "There is no such job"),
        te.JobExpired: Kind(410, "job-expired", "The job has expired"),
        up.UploadNotFound: Kind(404, "upload-not-found", "There is no such upload"),
        e.WorkerNotFound: Kind(404, "worker-not-found", "There is no such worker"),
        te.WebhookNotFound: Kind(404, "webhook-not-found", "There is no such webhook"),
        e.ModelNotFound: Kind(404, "model-not-found", "There is no such model"),
        e.JobFinished: Kind(409, "job-finished", "The job has already ended"),
        e.JobNotReady: Kind(409, "job-not-ready", "The job has not come that far"),
        e.IdempotencyMismatch: Kind(
            422, "idempotency-mismatch", "The idempotency key belongs to another request"
        ),
        e.StaleRevision: Kind(409, "stale-revision", "Somebody else changed it first"),
        e.PreconditionFailed: Kind(412, "precondition-failed", "It has changed since it was read"),
        e.StaleEpoch: Kind(409, "stale-epoch", "The partition has a newer owner"),
        te.NoEarlierVersion: Kind(409, "no-earlier-version", "There is no version to go back to"),
        te.WebhookDisabled: Kind(409, "webhook-disabled", "The webhook is not sent to"),
        up.UploadOffsetConflict: Kind(409, "upload-offset", "The upload is at another offset"),
        e.AlreadyAnswered: Kind(409, "already-answered", "The worker has answered this item"),
        e.LeaseExpired: Kind(410, "lease-expired", "The lease has run out"),
        e.LeaseForeign: Kind(403, "lease-foreign", "The lease belongs to another worker"),
        e.LeaseInvalid: Kind(422, "lease-invalid", "Not a lease token of this service"),
        e.ShardUnavailable: Kind(503, "shard-unavailable", "An allocator shard is restarting"),
        e.StoreBusy: Kind(503, "store-busy", "The database is busy"),
        se.StorageFull: Kind(507, "storage-full", "The object store has no room left"),
        se.StorageUnreachable: Kind(503, "storage-unreachable", "The object store does not answer"),
        up.UploadStalled: Kind(503, "upload-stalled", "A piece of an upload came too slowly"),
        re.ReplicaLost: Kind(503, "replica-lost", "A model replica was lost"),
        re.ReplicaBroken: Kind(503, "replica-broken", "A model replica broke and is replaced"),
        e.RateLimited: Kind(429, "rate-limited", "Too much at a time"),
        e.Overloaded: Kind(503, "overloaded", "A queue is full"),
        e.ModelUnusable: Kind(500, "model-unusable", "A model cannot be used"),
        e.ObjectMissing: Kind(500, "object-missing", "A stored object is missing"),
        te.SecretUnreadable: Kind(500, "secret-unreadable", "A stored secret cannot be read"),
        e.JobCancelled: Kind(409, "job-cancelled", "The job was cancelled"),
        e.JobPaused: Kind(409, "job-paused", "The job is paused"),
        e.TrainingFailed: Kind(500, "training-failed", "A training run failed"),
    }
)

INVALID_REQUEST = Kind(422, "invalid-request", "The request is not valid")
INTERNAL_ERROR = Kind(500, "internal-error", "Something inside Muster went wrong")
_HIDDEN_DETAIL = "The service has recorded what went wrong; the request may be sent again."


def problem_of(error: e.MusterError, instance: str | None = None) -> Problem:
    """Return the problem document of an error; what a fault says stays inside the service."""
    kind = KINDS[type(error)]
    return Problem(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        detail=_HIDDEN_DETAIL if isinstance(error, e.Fault) else str(error),
        instance=instance,
        errors=_field_errors(error),
        retry_after_s=error.retry_after_s if isinstance(error, e.Unavailable) else None,
    )


def internal_problem(instance: str | None = None) -> Problem:
    """Return the problem document of an error nobody foresaw; it tells nothing of the inside."""
    return _plain(INTERNAL_ERROR, _HIDDEN_DETAIL, instance)


def status_problem(status: int, instance: str | None = None) -> Problem:
    """Return the problem document of a bare HTTP status, such as that of an unknown route."""
    phrase = HTTPStatus(status).phrase
    kind = Kind(status, phrase.lower().replace(" ", "-"), phrase)
    return _plain(kind, HTTPStatus(status).description or phrase, instance)


def invalid_request(errors: tuple[FieldError, ...], instance: str | None = None) -> Problem:
    """Return the problem document of a request that does not fit its schema."""
    first = errors[0]
    where = first.pointer or first.parameter or "body"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return _plain(INVALID_REQUEST, f"{where}: {first.detail}{more}", instance, errors)


def pointer_to(*steps: str | int) -> str:
    """Return a JSON pointer into the body as a URI fragment (RFC 6901, section 6)."""
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "#" + "".join(f"/{step}" for step in escaped)


class ProblemResponse(Response):
    """A problem document; whoever measures requests finds its slug in `scope["state"]`."""

    slug: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the document."""
        scope.setdefault("state", {})["problem"] = self.slug
        await super().__call__(scope, receive, send)


def problem_response(problem: Problem) -> Response:
    """Return a problem document as an HTTP response, with the headers its status asks for."""
    headers = {}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.status == HTTPStatus.REQUEST_TIMEOUT:
        headers["Connection"] = "close"  # what is still to come would be read as a request
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(problem.retry_after_s))
    response = ProblemResponse(
        problem.model_dump_json(exclude_none=True, exclude_defaults=True),
        status_code=problem.status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers=headers,
    )
    response.slug = problem.type.rpartition(":")[2]
    return response


def _plain(
    kind: Kind, detail: str, instance: str | None, errors: tuple[FieldError, ...] = ()
) -> Problem:
    return Problem(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=instance,
        errors=errors,
    )


def _field_errors(error: e.MusterError) -> tuple[FieldError, ...]:
    if not isinstance(error, e.InvalidField):
        return ()
    pointer = pointer_to(*error.field.split("."))
    return (FieldError(detail=error.reason, pointer=pointer),)
