"""The allocator: a deterministic state machine that no clock, disk or chance can reach.

    events = decide(state, command, now)      reads the state, changes nothing
    apply(state, event)                       for each event, in order

The same state, commands and times always give the same events, so a shard can be simulated from
one seed. Whoever drives it expires leases first (`Expire`), and stores the answers of `Taken`
events before applying them: what is applied is what may be acknowledged.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import assert_never

from allocation.commands import (
    Assign,
    Claim,
    Command,
    Dropped,
    Entry,
    Event,
    Expire,
    Extend,
    Extended,
    Granted,
    Learned,
    PartitionKey,
    Publish,
    Refused,
    Release,
    Replayed,
    Submit,
    Taken,
)
from allocation.dispatch import spread
from allocation.leases import Ticket
from allocation.ports import TruthSnapshot
from allocation.selection import Pick, pick
from allocation.state import PartitionState, ShardState
from allocation.tables import LiveLease
from cluster.domain.ids import JobId, UnixSeconds, WorkerId
from cluster.domain.work import Answer
from cluster.errors import AlreadyAnswered, LeaseExpired, LeaseForeign, UnknownLabel


def decide(state: ShardState, command: Command, now: UnixSeconds) -> tuple[Event, ...]:
    """Return what a command brings about. Every entry of a `Submit` gets exactly one event."""
    match command:
        case Claim() | Assign():
            return tuple(_granted(state, command, now))
        case Submit(entries=entries):
            return tuple(_submitted(state, entries, now))
        case Release(worker_id=worker_id, tickets=tickets):
            return tuple(_released(state, worker_id, tickets, now))
        case Extend(worker_id=worker_id, tickets=tickets):
            return tuple(_extended(state, worker_id, tickets, now))
        case Expire():
            return tuple(Dropped(key, lease_id) for key, lease_id in state.due(now))
        case Publish(snapshot=snapshot):
            return tuple(_learned(state, snapshot))
        case _:
            assert_never(command)


def apply(state: ShardState, event: Event) -> None:
    """Change the state by one event."""
    match event:
        case Granted():
            partition = state.partitions[event.key]
            partition.grant(event)
            state.count_held(event.worker_id, 1)
            state.job_shares.charge(event.key.job_id, 1, partition.terms.weight)
            state.partition_shares.charge(event.key, 1, partition.partition.items)
        case Taken():
            partition, answer = state.partitions[event.key], event.answer
            position = partition.local(answer.position)
            partition.take(event.lease_id, answer.worker_id, position, answer.label)
            state.count_held(answer.worker_id, -1)
        case Dropped(key=key, lease_id=lease_id):
            _drop(state, state.partitions[key], lease_id)
        case Extended():
            state.partitions[event.key].leases.extend(event.lease_id, event.expires_at)
        case Learned(snapshot=snapshot):
            key = PartitionKey(snapshot.job_id, snapshot.partition)
            state.partitions[key].learn(snapshot)
        case Replayed() | Refused():
            pass
        case _:
            assert_never(event)


def _drop(state: ShardState, partition: PartitionState, lease_id: int) -> None:
    lease = partition.leases.get(lease_id)
    if lease is not None:
        state.count_held(partition.holder(lease), -1)
        partition.drop(lease_id)


def _granted(state: ShardState, command: Claim | Assign, now: UnixSeconds) -> Iterator[Granted]:
    if isinstance(command, Assign):
        return _assigned(state, command, now)
    return _claimed(state, command, now)


def _claimed(state: ShardState, claim: Claim, now: UnixSeconds) -> Iterator[Granted]:
    """Share a claim out among the jobs, one question at a time, by weighted fair queueing."""
    room = min(claim.count, state.rules.leases_per_worker_max - state.held(claim.worker.worker_id))
    if claim.worker.paused:
        return
    shares = state.job_shares.copy()
    jobs = _partitions_by_job(state)
    queues: dict[JobId, deque[tuple[PartitionState, Pick]]] = {}
    granted: Counter[PartitionKey] = Counter()
    while room > 0 and jobs:
        job_id = shares.next_of(jobs)
        if job_id not in queues:
            queues[job_id] = deque(_job_picks(state, jobs[job_id], claim, room))
        if not queues[job_id]:
            del jobs[job_id]
            continue
        partition, chosen = queues[job_id].popleft()
        shares.charge(job_id, 1, partition.terms.weight)
        yield _grant(partition, chosen, claim, granted[partition.key], now)
        granted[partition.key] += 1
        room -= 1


def _assigned(state: ShardState, assign: Assign, now: UnixSeconds) -> Iterator[Granted]:
    """Match the workers with the questions of all jobs in one pass."""
    granted: Counter[PartitionKey] = Counter()
    for partition, number, chosen in spread(state, assign.workers, assign.counts):
        claim = Claim(worker=assign.workers[number], count=1)
        yield _grant(partition, chosen, claim, granted[partition.key], now)
        granted[partition.key] += 1


def _partitions_by_job(state: ShardState) -> dict[JobId, list[PartitionState]]:
    jobs: dict[JobId, list[PartitionState]] = {}
    for key in sorted(state.partitions):
        jobs.setdefault(key.job_id, []).append(state.partitions[key])
    return jobs


def _job_picks(
    state: ShardState, partitions: Sequence[PartitionState], claim: Claim, count: int
) -> Iterator[tuple[PartitionState, Pick]]:
    """Yield up to `count` questions of one job, from the partition that has waited longest on."""
    if claim.eligible is None:
        eligible = None
    elif (eligible := claim.eligible.get(partitions[0].key.job_id)) is None:
        return
    by_key = {partition.key: partition for partition in partitions}
    for key in state.partition_shares.in_turn(by_key):
        picks = pick(by_key[key], claim.worker, count, eligible)
        yield from ((by_key[key], chosen) for chosen in picks)
        count -= len(picks)
        if count <= 0:
            return


def _grant(
    partition: PartitionState, chosen: Pick, claim: Claim, nth: int, now: UnixSeconds
) -> Granted:
    ttl_s = partition.terms.lease_ttl_s
    return Granted(
        key=partition.key,
        lease_id=partition.leases.next_id + nth,
        position=partition.absolute(chosen.position),
        worker_id=claim.worker.worker_id,
        purpose=chosen.purpose,
        price=claim.worker.price,
        expires_at=now + ttl_s,
        ends_by=now + ttl_s * partition.rules.lease_terms_max,
    )


def _submitted(
    state: ShardState, entries: Sequence[Entry], now: UnixSeconds
) -> Iterator[Taken | Replayed | Refused]:
    taken: dict[tuple[PartitionKey, WorkerId, int], int] = {}
    for index, entry in enumerate(entries):
        event = _judged(state, entry, index, taken, now)
        if isinstance(event, Taken):
            answer = event.answer
            taken[event.key, answer.worker_id, answer.position] = answer.label
        yield event


def _judged(
    state: ShardState,
    entry: Entry,
    index: int,
    taken: dict[tuple[PartitionKey, WorkerId, int], int],
    now: UnixSeconds,
) -> Taken | Replayed | Refused:
    """Return what becomes of one answer; `taken` holds those taken earlier in the command."""
    ticket, worker_id = entry.ticket, entry.worker_id
    if ticket.worker_id != worker_id:
        return Refused(index, LeaseForeign(worker_id))
    key = PartitionKey(ticket.job_id, ticket.partition)
    partition = state.partitions.get(key)
    if partition is None:
        return Refused(index, LeaseExpired(ticket.job_id, ticket.position))
    label = partition.terms.codes.get(entry.label)
    if label is None:
        return Refused(index, UnknownLabel(ticket.job_id, entry.label))
    before = taken.get((key, worker_id, ticket.position))
    if before is None:
        before = partition.stored_label(worker_id, partition.local(ticket.position))
    if before is None:
        return _taken(partition, entry, label, index, now)
    if before == label:
        return Replayed(index)
    return Refused(index, AlreadyAnswered(ticket.job_id, ticket.position, worker_id))


def _taken(
    partition: PartitionState, entry: Entry, label: int, index: int, now: UnixSeconds
) -> Taken | Refused:
    """Return the first answer of a worker to an item, if the lease still stands."""
    ticket = entry.ticket
    lease = _live(partition, ticket, now)
    if lease is None:
        return Refused(index, LeaseExpired(ticket.job_id, ticket.position))
    return Taken(
        index=index,
        key=partition.key,
        lease_id=ticket.lease_id,
        answer=Answer(
            job_id=ticket.job_id,
            position=ticket.position,
            worker_id=entry.worker_id,
            label=label,
            purpose=lease.purpose,
            price=lease.price,
            answered_at=now,
            duration_s=entry.duration_s,
        ),
    )


def _live(partition: PartitionState, ticket: Ticket, now: UnixSeconds) -> LiveLease | None:
    """Return the lease behind a ticket if it is held now."""
    if ticket.epoch != partition.lease_epoch:
        return None
    lease = partition.leases.get(ticket.lease_id)
    return lease if lease is not None and lease.expires_at > now else None


def _held_by(
    state: ShardState, worker_id: WorkerId, tickets: Sequence[Ticket], now: UnixSeconds
) -> Iterator[tuple[int, PartitionState, Ticket, LiveLease]]:
    """Yield index and lease of each ticket that the worker holds now."""
    for index, ticket in enumerate(tickets):
        key = PartitionKey(ticket.job_id, ticket.partition)
        partition = state.partitions.get(key)
        if partition is None or ticket.worker_id != worker_id:
            continue
        lease = _live(partition, ticket, now)
        if lease is not None:
            yield index, partition, ticket, lease


def _released(
    state: ShardState, worker_id: WorkerId, tickets: Sequence[Ticket], now: UnixSeconds
) -> Iterator[Dropped]:
    held = _held_by(state, worker_id, tickets, now)
    for key, lease_id in dict.fromkeys(
        (found.key, ticket.lease_id) for _, found, ticket, _ in held
    ):
        yield Dropped(key, lease_id)


def _extended(
    state: ShardState, worker_id: WorkerId, tickets: Sequence[Ticket], now: UnixSeconds
) -> Iterator[Extended]:
    for index, partition, ticket, lease in _held_by(state, worker_id, tickets, now):
        until = max(lease.expires_at, min(now + partition.terms.lease_ttl_s, lease.ends_by))
        yield Extended(index=index, key=partition.key, lease_id=ticket.lease_id, expires_at=until)


def _learned(state: ShardState, snapshot: TruthSnapshot) -> Iterator[Learned]:
    partition = state.partitions.get(PartitionKey(snapshot.job_id, snapshot.partition))
    if partition is None:
        return
    present = partition.belief
    if present is None or snapshot.round >= present.snapshot.round:
        yield Learned(snapshot)
