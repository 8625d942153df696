"""Retry keys of clients (draft-ietf-httpapi-idempotency-key-header-07)."""

import re
from hashlib import sha256

from cluster.domain.jobs import IdempotencyKey
from serve_apps.gateway.handlers import bad_parameter
from serve_apps.gateway.schemas.job_request import JobRequest

HEADER = "Idempotency-Key"

# A quoted structured string as the draft has it, or the bare form most clients send.
_KEY = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x5b\x5d-\x7e]{1,255})')


def idempotency_key(header: str | None, request: JobRequest) -> IdempotencyKey | None:
    """Return the retry key of a submit with the fingerprint of what was asked, None for none.

    Two bodies that mean the same (other order of fields, defaults spelled out) have one
    fingerprint, and keep it when later releases know of more fields.
    """
    if header is None:
        return None
    match = _KEY.fullmatch(header)
    if match is None:
        raise bad_parameter("header", HEADER, "has 1 to 255 visible ASCII characters")
    return IdempotencyKey(
        key=match[1] or match[2],
        fingerprint=_fingerprint(request, exclude_defaults=True),
        former=_fingerprint(request, exclude_defaults=False),
    )


def _fingerprint(request: JobRequest, *, exclude_defaults: bool) -> str:
    body = request.model_dump_json(exclude={"items"}, exclude_defaults=exclude_defaults)
    digest = sha256(body.encode())
    for item in request.items or ():
        digest.update(item.model_dump_json(exclude_defaults=exclude_defaults).encode())
    return digest.hexdigest()
