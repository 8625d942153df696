"""Push mode on the wire: who may take how many questions, and what each was leased."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from allocation.ports import Offer
from cluster.domain.ids import WorkerId
from serve_apps.gateway.schemas.base import Incoming, Outgoing, utc

WORKERS_MAX = 100
"""Workers that one request may name."""

WorkerKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class SeatBody(Incoming):
    """A worker, and how many questions they may be leased at most."""

    worker_id: WorkerKey
    count: int = Field(ge=1)


class AssignmentRequest(Incoming):
    """Workers to lease questions of a job to; `wait_price_per_hour` is what an hour's wait costs.

    It is the money that each answer loses an hour until it is there, in the currency of worker
    prices; at 0 only prices and what answers tell decide.
    """

    workers: Annotated[list[SeatBody], Field(min_length=1, max_length=WORKERS_MAX)]
    wait_price_per_hour: float = Field(0.0, ge=0, le=1e6)


class AssignedLease(Outgoing):
    """A question leased to a worker until `expires_at`; `token` comes back with the answer."""

    token: str
    expires_at: datetime


class AssignmentView(Outgoing):
    """What a worker was leased; their key sees the items at `/v1/workers/{id}/leases`."""

    worker_id: str
    leases: tuple[AssignedLease, ...]


class AssignmentList(Outgoing):
    """One assignment a worker, in the order of the request; one may be empty."""

    assignments: tuple[AssignmentView, ...]


def assignment_view(worker_id: WorkerId, offers: tuple[Offer, ...]) -> AssignmentView:
    """Return what a worker was leased as the wire shows it; never why."""
    leases = (AssignedLease(token=made.token, expires_at=utc(made.expires_at)) for made in offers)
    return AssignmentView(worker_id=worker_id, leases=tuple(leases))
