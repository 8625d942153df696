"""A submit, and the same submit again: alone, many at once, and changed under the same key."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.chaos.door import Door
from serve_apps.gateway.schemas.base import Problem
from serve_apps.gateway.schemas.jobs import JobView

COPIES = 20
MISMATCH = "urn:muster:problem:idempotency-mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What submits under one Idempotency-Key came to.

    `created` of all `sent` were answered 201; `jobs` is how many jobs all the answers named.
    `mismatch` tells that another body under the same key was refused as it should be.
    """

    job_id: str
    sent: int
    created: int
    jobs: int
    mismatch: bool


def submit(
    door: Door, body: Mapping[str, object], key: str, copies_sent: int = COPIES
) -> Submitted:
    """Submit a job many times at once and once more, then something else under its key."""
    headers = {"Idempotency-Key": key}
    with ThreadPoolExecutor(copies_sent) as senders:
        copies = [senders.submit(door.post, "/v1/jobs", body, headers) for _ in range(copies_sent)]
        replies = [copy.result() for copy in copies]
    replies.append(door.post("/v1/jobs", body, headers))
    ids = {JobView.model_validate_json(reply.content).id for reply in replies}
    other = door.post("/v1/jobs", {**body, "name": "something else"}, headers)
    return Submitted(
        job_id=min(ids),
        sent=len(replies),
        created=sum(reply.status == 201 for reply in replies),
        jobs=len(ids),
        mismatch=other.status == 422
        and Problem.model_validate_json(other.content).type == MISMATCH,
    )
