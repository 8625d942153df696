"""What a worker is told of a lease: its token, and the item it is for."""

from collections.abc import Iterator

from allocation.commands import Granted
from allocation.leases import Ticket, seal
from allocation.ports import Offer
from allocation.state import PartitionState
from cluster.domain.ids import ShardId, UnixSeconds, WorkerId
from cluster.domain.work import PURPOSES


def offered(
    shard_id: ShardId, partition: PartitionState, event: Granted, secret: bytes
) -> Iterator[tuple[int, Offer]]:
    """Yield an offer for each lease of an event, with the number of its holder."""
    for lease_id, local, audit, holder in zip(
        event.lease_ids.tolist(),
        event.positions.tolist(),
        event.audit.tolist(),
        event.holders.tolist(),
        strict=True,
    ):
        ticket = _ticket(shard_id, partition, lease_id, local, event.workers[holder])
        yield holder, _offer(ticket, audit, event.expires_at, secret)


def held(
    shard_id: ShardId, partition: PartitionState, worker_id: WorkerId, secret: bytes
) -> Iterator[Offer]:
    """Yield the offers that a worker was made and may still answer, by position."""
    lease_ids, leases = partition.held_by(worker_id)
    for row in leases["position"].argsort(kind="stable").tolist():
        found = leases[row]
        local, audit = int(found["position"]), bool(found["audit"])
        ticket = _ticket(shard_id, partition, int(lease_ids[row]), local, worker_id)
        yield _offer(ticket, audit, float(found["expires_at"]), secret)


def _ticket(
    shard_id: ShardId, partition: PartitionState, lease_id: int, local: int, worker_id: WorkerId
) -> Ticket:
    return Ticket(
        shard_id=shard_id,
        job_id=partition.key.job_id,
        partition=partition.key.number,
        epoch=partition.lease_epoch,
        position=partition.absolute(local),
        lease_id=lease_id,
        worker_id=worker_id,
    )


def _offer(ticket: Ticket, audit: bool, expires_at: UnixSeconds, secret: bytes) -> Offer:  # noqa: FBT001
    return Offer(
        token=seal(ticket, secret),
        job_id=ticket.job_id,
        position=ticket.position,
        purpose=PURPOSES[audit],
        expires_at=expires_at,
    )
