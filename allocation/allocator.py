"""The allocator: a deterministic state machine that no clock, disk or chance can reach.

    events = decide(state, command, now)      reads the state, changes nothing
    apply(state, event)                       for each event, in order

The same state, commands and times always give the same events, so a shard can be simulated from
one seed. Whoever drives it expires leases first (`Expire`), and stores the answers of a `Taken`
event before applying it: what is applied is what may be acknowledged. Meanwhile other commands
may be carried out, once a `Settling` event holds the leases those answers came by.

Events carry columns, a row for each lease or answer, not an object for each.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

import numpy as np

from allocation.commands import (
    Assign,
    Claim,
    ClaimTogether,
    Command,
    Dropped,
    Entry,
    Event,
    Expire,
    Extend,
    Extended,
    Granted,
    Held,
    Hold,
    Learned,
    PartitionKey,
    Publish,
    Refused,
    Release,
    Replayed,
    Settling,
    Submit,
    Taken,
)
from allocation.dispatch import spread
from allocation.leases import Ticket
from allocation.ports import TruthSnapshot
from allocation.selection import Pick, Seeker, pick, pick_together
from allocation.state import PartitionState, ShardState
from allocation.tables import Leases
from cluster.domain.ids import JobId, Position, UnixSeconds, WorkerId
from cluster.domain.work import AnswerColumns
from cluster.errors import AlreadyAnswered, LeaseExpired, LeaseForeign, UnknownLabel


def decide(state: ShardState, command: Command, now: UnixSeconds) -> tuple[Event, ...]:
    """Return what a command brings about.

    Every entry of a `Submit` is in one event: in `Taken`, of which there is one at most, or in a
    `Replayed` or `Refused` of its own.
    """
    events: Iterator[Event]
    match command:
        case Claim():
            events = _claimed(state, command, now)
        case ClaimTogether(claims=claims):
            events = _claimed_together(state, claims, now)
        case Assign():
            events = _assigned(state, command, now)
        case Submit(key=key, entries=entries):
            events = _submitted(state, key, entries, now)
        case Release(worker_id=worker_id, tickets=tickets):
            events = _released(state, worker_id, tickets, now)
        case Extend(worker_id=worker_id, tickets=tickets):
            events = _extended(state, worker_id, tickets, now)
        case Expire():
            events = (Dropped(key, lease_ids) for key, lease_ids in state.due(now))
        case Publish(snapshot=snapshot):
            events = _learned(state, snapshot)
        case Hold(job_id=job_id):
            events = (Held(key) for key in sorted(state.partitions) if key.job_id == job_id)
        case _:
            assert_never(command)
    return tuple(events)


def apply(state: ShardState, event: Event) -> None:
    """Change the state by one event."""
    match event:
        case Granted():
            _grant(state, state.partitions[event.key], event)
        case Taken():
            partition, answers = state.partitions[event.key], event.answers
            partition.take(event.lease_ids, answers)
            for worker, given in enumerate(np.bincount(answers.workers).tolist()):
                state.count_held(answers.worker_ids[worker], -given)
        case Settling(key=key, lease_ids=lease_ids):
            state.partitions[key].leases.settle(lease_ids)
        case Dropped():
            _drop(state, state.partitions[event.key], event)
        case Extended():
            state.partitions[event.key].leases.extend(event.lease_id, event.expires_at)
        case Learned(snapshot=snapshot):
            key = PartitionKey(snapshot.job_id, snapshot.partition)
            state.partitions[key].learn(snapshot)
        case Held(key=key):
            state.partitions[key].hold()
        case Replayed() | Refused():
            pass
        case _:
            assert_never(event)


def _grant(state: ShardState, partition: PartitionState, event: Granted) -> None:
    partition.grant(event)
    for holder, granted in enumerate(np.bincount(event.holders).tolist()):
        state.count_held(event.workers[holder], granted)
    leases = len(event.lease_ids)
    state.job_shares.charge(event.key.job_id, leases, partition.terms.weight)
    state.partition_shares.charge(event.key, leases, partition.partition.items)


def _drop(state: ShardState, partition: PartitionState, event: Dropped) -> None:
    for worker_id, dropped in partition.holders(partition.drop(event.lease_ids)).items():
        state.count_held(worker_id, -dropped)


def _room(state: ShardState, claim: Claim) -> int:
    """Return how many leases a claim may be given at most."""
    if claim.worker.paused:
        return 0
    free = state.rules.leases_per_worker_max - state.held(claim.worker.worker_id)
    return max(0, min(claim.count, free))


def _claimed(state: ShardState, claim: Claim, now: UnixSeconds) -> Iterator[Granted]:
    """Share a claim out among the jobs, one question at a time, by weighted fair queueing.

    Events come in the order of the jobs' turns, so that charging each at one go leaves the clock
    of the shares as charging question by question would.
    """
    room = _room(state, claim)
    shares = state.job_shares.copy()
    jobs = _partitions_by_job(state)
    queues: dict[JobId, deque[tuple[PartitionState, Pick]]] = {}
    granted: dict[PartitionKey, list[Pick]] = {}
    while room > 0 and jobs:
        job_id = shares.next_of(jobs)
        if job_id not in queues:
            queues[job_id] = deque(_job_picks(state, jobs[job_id], claim, room))
        if not queues[job_id]:
            del jobs[job_id]
            continue
        partition, chosen = queues[job_id].popleft()
        shares.charge(job_id, 1, partition.terms.weight)
        granted.setdefault(partition.key, []).append(chosen)
        room -= 1
    for key, picks in granted.items():
        yield _granted(state.partitions[key], (claim,), [(0, found) for found in picks], now)


def _claimed_together(
    state: ShardState, claims: Sequence[Claim], now: UnixSeconds
) -> Iterator[Granted]:
    """Serve each claim from the one partition whose turn it is, all that are there in one look.

    Only the first of a worker's claims is served: the others must see what that one was given.
    """
    jobs = _partitions_by_job(state)
    if not jobs:
        return
    shares, turns = state.job_shares.copy(), state.partition_shares.copy()
    seekers: dict[PartitionKey, list[Seeker]] = {}
    seen: set[WorkerId] = set()
    for number, claim in enumerate(claims):
        room = 0 if claim.worker.worker_id in seen else _room(state, claim)
        seen.add(claim.worker.worker_id)
        if room > 0 and claim.eligible is None:
            job_id = shares.next_of(jobs)
            key = turns.next_of([partition.key for partition in jobs[job_id]])
            partition = state.partitions[key]
            shares.charge(job_id, room, partition.terms.weight)
            turns.charge(key, room, partition.partition.items)
            seekers.setdefault(key, []).append(Seeker(number, claim.worker, room))
    for key, waiting in seekers.items():
        picks = pick_together(state.partitions[key], waiting)
        if picks:
            yield _granted(state.partitions[key], claims, picks, now)


def _assigned(state: ShardState, assign: Assign, now: UnixSeconds) -> Iterator[Granted]:
    """Match the workers with the questions of all jobs, or of one, in one pass."""
    claims = [
        Claim(worker=worker, count=count)
        for worker, count in zip(assign.workers, assign.counts, strict=True)
    ]
    found = spread(state, assign.workers, assign.counts, assign.batch)
    for partition, picks in found.items():
        # In the order of the items, so that no lease's place among others tells what it is for.
        in_order = sorted(picks, key=lambda pick: pick[1].position)
        yield _granted(partition, claims, in_order, now)


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


def _granted(
    partition: PartitionState,
    claims: Sequence[Claim],
    picks: Sequence[tuple[int, Pick]],
    now: UnixSeconds,
) -> Granted:
    """Return the event by which claims, by number, get the questions picked for them."""
    ttl_s = partition.terms.lease_ttl_s
    return Granted(
        key=partition.key,
        lease_ids=partition.leases.next_ids(len(picks)),
        positions=np.array([chosen.position for _, chosen in picks], dtype=np.int32),
        audit=np.array([chosen.purpose == "audit" for _, chosen in picks], dtype=np.bool_),
        holders=np.array([number for number, _ in picks], dtype=np.int32),
        workers=tuple(claim.worker.worker_id for claim in claims),
        prices=tuple(claim.worker.price for claim in claims),
        expires_at=now + ttl_s,
        ends_by=now + ttl_s * partition.rules.lease_terms_max,
    )


def _submitted(
    state: ShardState, key: PartitionKey, entries: Sequence[Entry], now: UnixSeconds
) -> Iterator[Taken | Replayed | Refused]:
    """Take the answers whose leases stand; look closer at the others, one by one."""
    partition = state.partitions.get(key)
    if partition is None:
        for index, entry in enumerate(entries):
            foreign = entry.ticket.worker_id != entry.worker_id
            yield Refused(index, LeaseForeign(entry.worker_id) if foreign else _expired(entry))
        return
    leases, held = _live(partition, [entry.ticket for entry in entries], now)
    codes = partition.terms.codes
    taken: dict[tuple[WorkerId, Position], int] = {}
    others: list[int] = []
    for index, (entry, is_held) in enumerate(zip(entries, held, strict=True)):
        slot = entry.worker_id, entry.ticket.position
        good = is_held and entry.label in codes and entry.ticket.worker_id == entry.worker_id
        if good and slot not in taken:
            taken[slot] = index
        else:
            others.append(index)
    doubles = {
        index: entries[taken[slot]]
        for index in others
        if (slot := (entries[index].worker_id, entries[index].ticket.position)) in taken
    }
    if taken:
        yield _taken(partition, entries, leases, list(taken.values()), tuple(doubles), now)
    for index in others:
        entry, same = entries[index], doubles.get(index)
        local = partition.local(entry.ticket.position)
        before = partition.stored_label(entry.worker_id, local)
        yield judged(codes, index, entry, before if same is None else codes[same.label])


def _taken(
    partition: PartitionState,
    entries: Sequence[Entry],
    leases: Leases,
    indices: list[int],
    doubles: tuple[int, ...],
    now: UnixSeconds,
) -> Taken:
    rows = np.array(indices, dtype=np.int32)
    given = [entries[index] for index in indices]
    numbers: dict[WorkerId, int] = {}
    workers = [numbers.setdefault(entry.worker_id, len(numbers)) for entry in given]
    codes = partition.terms.codes
    return Taken(
        key=partition.key,
        indices=rows,
        doubles=doubles,
        lease_ids=np.array([entry.ticket.lease_id for entry in given], dtype=np.int64),
        answers=AnswerColumns(
            seq=np.zeros(len(rows), dtype=np.int64),
            positions=np.array([entry.ticket.position for entry in given], dtype=np.int64),
            workers=np.array(workers, dtype=np.int32),
            labels=np.array([codes[entry.label] for entry in given], dtype=np.int16),
            audit=leases["audit"][rows],
            prices=leases["price"][rows],
            answered_at=np.full(len(rows), now),
            durations_s=np.array([entry.duration_s for entry in given], dtype=np.float64),
            worker_ids=tuple(numbers),
        ),
    )


def judged(
    codes: Mapping[str, int], index: int, entry: Entry, before: int | None
) -> Replayed | Refused:
    """Return why an answer is not taken; `before` is what the worker has said of the item."""
    ticket, worker_id = entry.ticket, entry.worker_id
    if ticket.worker_id != worker_id:
        return Refused(index, LeaseForeign(worker_id))
    label = codes.get(entry.label)
    if label is None:
        return Refused(index, UnknownLabel(ticket.job_id, entry.label))
    if before is None:
        return Refused(index, _expired(entry))
    if before == label:
        return Replayed(index)
    return Refused(index, AlreadyAnswered(ticket.job_id, ticket.position, worker_id))


def _expired(entry: Entry) -> LeaseExpired:
    return LeaseExpired(entry.ticket.job_id, entry.ticket.position)


def _live(
    partition: PartitionState, tickets: Sequence[Ticket], now: UnixSeconds
) -> tuple[Leases, list[bool]]:
    """Return a row for the lease behind each ticket, and whether it is held now."""
    lease_ids = np.array([ticket.lease_id for ticket in tickets], dtype=np.int64)
    epochs = np.array([ticket.epoch for ticket in tickets], dtype=np.int64)
    leases, is_out = partition.leases.find(lease_ids)
    held = is_out & (leases["expires_at"] > now) & (epochs == partition.lease_epoch)
    return leases, held.tolist()


def _held_by(
    state: ShardState, worker_id: WorkerId, tickets: Sequence[Ticket], now: UnixSeconds
) -> Iterator[tuple[int, PartitionState, Ticket, Leases]]:
    """Yield index and lease of each ticket that the worker holds now."""
    for index, ticket in enumerate(tickets):
        partition = state.partitions.get(PartitionKey(ticket.job_id, ticket.partition))
        if partition is None or ticket.worker_id != worker_id:
            continue
        leases, held = _live(partition, [ticket], now)
        if held[0]:
            yield index, partition, ticket, leases


def _released(
    state: ShardState, worker_id: WorkerId, tickets: Sequence[Ticket], now: UnixSeconds
) -> Iterator[Dropped]:
    dropped: dict[PartitionKey, dict[int, None]] = {}
    for _, partition, ticket, leases in _held_by(state, worker_id, tickets, now):
        if not leases["settling"][0]:
            dropped.setdefault(partition.key, {})[ticket.lease_id] = None
    for key, lease_ids in dropped.items():
        yield Dropped(key, np.array(list(lease_ids), dtype=np.int64))


def _extended(
    state: ShardState, worker_id: WorkerId, tickets: Sequence[Ticket], now: UnixSeconds
) -> Iterator[Extended]:
    for index, partition, ticket, leases in _held_by(state, worker_id, tickets, now):
        ends_by, expires_at = float(leases["ends_by"][0]), float(leases["expires_at"][0])
        until = max(expires_at, min(now + partition.terms.lease_ttl_s, ends_by))
        yield Extended(index=index, key=partition.key, lease_id=ticket.lease_id, expires_at=until)


def _learned(state: ShardState, snapshot: TruthSnapshot) -> Iterator[Learned]:
    partition = state.partitions.get(PartitionKey(snapshot.job_id, snapshot.partition))
    if partition is None:
        return
    present = partition.belief
    if present is None or snapshot.round >= present.snapshot.round:
        yield Learned(snapshot)
