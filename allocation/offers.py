"""What a worker is told of a lease: its token, and the item it is for."""

from collections.abc import Iterator

from allocation.commands import Granted
from allocation.leases import Ticket, seal
from allocation.ports import Offer
from allocation.state import PartitionState
from cluster.domain.ids import ShardId
from cluster.domain.work import PURPOSES


def offered(
    shard_id: ShardId, partition: PartitionState, event: Granted, secret: bytes
) -> Iterator[tuple[int, Offer]]:
    """Yield an offer for each lease of an event, with the number of its holder."""
    first = partition.partition.first_position
    for lease_id, local, audit, holder in zip(
        event.lease_ids.tolist(),
        event.positions.tolist(),
        event.audit.tolist(),
        event.holders.tolist(),
        strict=True,
    ):
        ticket = Ticket(
            shard_id=shard_id,
            job_id=event.key.job_id,
            partition=event.key.number,
            epoch=partition.lease_epoch,
            position=first + local,
            lease_id=lease_id,
            worker_id=event.workers[holder],
        )
        yield (
            holder,
            Offer(
                token=seal(ticket, secret),
                job_id=event.key.job_id,
                position=first + local,
                purpose=PURPOSES[audit],
                expires_at=event.expires_at,
            ),
        )
