"""Push mode on a shard: which questions to ask of which of many workers, in one pass.

The rules are those of a claim (`allocation.selection`): nobody is asked twice about an item, audits
and labels take turns, reviewers only audit, budgets hold, and jobs share the crowd by their
weights. Within them workers and questions are matched for the most information for the money.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from allocation.belief import Belief
from allocation.fairness import FairShares
from allocation.matching.model import Demand, Floats, Supply, Table
from allocation.matching.model import Ints as Rows
from allocation.matching.plan import match
from allocation.policy import Floats as Singles
from allocation.policy import dearness, information_gain
from allocation.ports import EVERY_JOB, Batch
from allocation.selection import Pick, answers_left, payable, with_gold
from allocation.shortlist import keyed_unit, largest
from allocation.state import PartitionState, ShardState
from allocation.tables import Ints
from cluster.domain.ids import JobId
from cluster.domain.work import WorkerProfile

_LABELS, _AUDITS = 1, 2
"""Skills as the matching knows them: who may answer which kind of question."""

_CANDIDATES_PER_ANSWER = 4
_KINDS_MAX = 256
_GRIDS = (32, 16, 8, 4, 2, 1)
_TOLERANCE = 1e-2
"""Rounded posteriors are no more exact than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A worker who may take `room` more questions behind a `queue`; `number` is the caller's."""

    number: int
    worker: WorkerProfile
    room: int
    queue: int = 0


@dataclass(frozen=True, slots=True)
class Given:
    """What a pass has asked of a partition so far: the items at `positions`, for `cost`.

    `numbers` are those of the workers who were asked, each as often as they were.
    """

    positions: tuple[int, ...] = ()
    cost: float = 0.0
    numbers: tuple[int, ...] = ()

    def with_more(self, picks: Sequence[tuple[int, Pick]], prices: Sequence[float]) -> "Given":
        """Return this and picks besides, each of a worker by number; `prices` are the workers'."""
        more = tuple(chosen.position for _, chosen in picks)
        numbers = tuple(number for number, _ in picks)
        cost = self.cost + sum(prices[number] for number in numbers)
        return Given(self.positions + more, cost, self.numbers + numbers)


NOTHING = Given()


def spread(
    state: ShardState,
    workers: Sequence[WorkerProfile],
    counts: Sequence[int],
    batch: Batch = EVERY_JOB,
) -> Mapping[PartitionState, Sequence[tuple[int, Pick]]]:
    """Return questions for many workers, up to `counts` each, with the worker's number.

    A worker who comes twice is served once. Every job gets its share of the whole room by weighted
    fair queueing; what it has no questions for goes to the others. Changes nothing.
    """
    first = {worker.worker_id: number for number, worker in reversed(list(enumerate(workers)))}
    seats = [
        Seat(
            number=number,
            worker=worker,
            room=_room(state, worker, count),
            queue=state.held(worker.worker_id),
        )
        for number, (worker, count) in enumerate(zip(workers, counts, strict=True))
        if first[worker.worker_id] == number
    ]
    shares, jobs = state.job_shares.copy(), _by_job(state, batch.job_id)
    found: dict[PartitionState, list[tuple[int, Pick]]] = {each: [] for each in _all(jobs)}
    prices = [worker.price for worker in workers]
    while jobs and (room := sum(seat.room for seat in seats)):
        for job_id, quota in _quotas(shares, jobs, room).items():
            asked = 0
            for partition in jobs[job_id]:
                taken = NOTHING.with_more(found[partition], prices)
                picks = dispatch(partition, seats, quota - asked, taken, batch.wait_price)
                found[partition] += picks
                seats = _seated(seats, [number for number, _ in picks])
                asked += len(picks)
            shares.charge(job_id, asked, jobs[job_id][0].terms.weight)
            if asked < quota:
                del jobs[job_id]
    return {
        partition: _tested(partition, workers, picks) for partition, picks in found.items() if picks
    }


def dispatch(
    partition: PartitionState,
    seats: Sequence[Seat],
    count: int,
    taken: Given = NOTHING,
    wait_price: float = 0.0,
) -> list[tuple[int, Pick]]:
    """Return up to `count` questions of a partition, each with the number of who is asked.

    Items that are `taken` are left out, and what they cost is gone. Each item is asked about once
    at most. An answer loses `wait_price` a second until it is there, behind those that its worker
    has to give before.
    """
    belief = partition.belief
    given = Counter(taken.numbers)
    rested = [_rested(partition, seat, given[seat.number]) for seat in seats]
    seats = [seat for seat in rested if belief is not None and _may_work(partition, belief, seat)]
    room = min(
        count, answers_left(partition) - len(taken.positions), sum(seat.room for seat in seats)
    )
    if belief is None or room <= 0:
        return []
    labels = _label_items(partition, belief, room, taken.positions)
    audits = _audit_items(partition, room, len(labels), taken.positions)
    labels = labels[~np.isin(labels, audits)]
    items = np.concatenate([labels, audits])
    kind, gain = _gains(partition, belief, labels, seats)
    skills = np.repeat([_LABELS, _AUDITS], [len(labels), len(audits)])
    demand = Demand.of(
        np.concatenate([kind, np.full(len(audits), len(gain) - 1)]),
        skills=skills,
        weight=wait_price,
        barred=_known(partition, items, seats),
    )
    supply = _supply(partition, belief, seats)
    longest_s = float((supply.queued_s + supply.capacity * supply.seconds).max())
    worth = _worth(gain, supply.price, wait_price * longest_s)
    plan = match(demand, supply, Table(worth=worth), tolerance=_TOLERANCE)
    # The budget may be smaller than the crowd: then what tells most is asked.
    kept = np.argsort(-gain[demand.kind[plan.item], plan.worker], kind="stable")
    kept = kept[payable(partition, supply.price[plan.worker[kept]], taken.cost)][:room]
    return [
        (
            seats[plan.worker[at]].number,
            _pick(int(items[plan.item[at]]), int(plan.item[at]), labels),
        )
        for at in np.sort(kept).tolist()
    ]


def _supply(partition: PartitionState, belief: Belief, seats: Sequence[Seat]) -> Supply:
    seconds = belief.seconds([seat.worker.worker_id for seat in seats])
    return Supply.of(
        [seat.worker.price for seat in seats],
        seconds=seconds,
        queued_s=seconds * [seat.queue for seat in seats],
        capacity=[seat.room for seat in seats],
        skills=[_may_answer(partition, seat) for seat in seats],
    )


def _tested(
    partition: PartitionState,
    workers: Sequence[WorkerProfile],
    picks: Sequence[tuple[int, Pick]],
) -> Sequence[tuple[int, Pick]]:
    """Return the questions with one of each worker who is yet to be proven given up for gold."""
    belief = partition.belief
    if belief is None or not len(belief.snapshot.gold):
        return picks
    others = [found for found in picks if found[1].purpose != "label"]
    labels: dict[int, list[int]] = {}
    for number, chosen in picks:
        if chosen.purpose == "label":
            labels.setdefault(number, []).append(chosen.position)
    asked: list[int] = []
    for number, positions in labels.items():
        mine = np.array(positions, dtype=np.int32)
        tested = with_gold(partition, belief, workers[number], mine, asked=asked)
        asked += tested[tested != mine].tolist()
        others += [(number, Pick(position, "label")) for position in tested.tolist()]
    return others


def _pick(position: int, row: int, labels: Ints) -> Pick:
    return Pick(position, "label" if row < len(labels) else "audit")


def _room(state: ShardState, worker: WorkerProfile, count: int) -> int:
    free = state.rules.leases_per_worker_max - state.held(worker.worker_id)
    return 0 if worker.paused else max(0, min(count, free))


def _by_job(state: ShardState, only: JobId | None) -> dict[JobId, list[PartitionState]]:
    """Return each job's partitions, or `only` one's, from that which has waited longest on."""
    jobs: dict[JobId, list[PartitionState]] = {}
    keys = sorted(key for key in state.partitions if only in (None, key.job_id))
    for key in state.partition_shares.in_turn(keys):
        jobs.setdefault(key.job_id, []).append(state.partitions[key])
    return dict(sorted(jobs.items()))


def _all(jobs: dict[JobId, list[PartitionState]]) -> Iterator[PartitionState]:
    for partitions in jobs.values():
        yield from partitions


def _quotas(
    shares: FairShares[JobId], jobs: dict[JobId, list[PartitionState]], room: int
) -> dict[JobId, int]:
    """Return how many of the next questions are each job's."""
    ahead, quotas = shares.copy(), dict.fromkeys(jobs, 0)
    for _ in range(room):
        job_id = ahead.next_of(jobs)
        ahead.charge(job_id, 1, jobs[job_id][0].terms.weight)
        quotas[job_id] += 1
    return {job_id: quota for job_id, quota in quotas.items() if quota}


def _seated(seats: Sequence[Seat], numbers: Sequence[int]) -> list[Seat]:
    used = Counter(numbers)
    return [
        replace(seat, room=seat.room - used[seat.number], queue=seat.queue + used[seat.number])
        for seat in seats
    ]


def _rested(partition: PartitionState, seat: Seat, given: int) -> Seat:
    """Return a seat with no more room than its worker may be asked before a rest, `given` some."""
    room = min(seat.room, max(partition.turns_left(seat.worker.worker_id) - given, 0))
    return seat if room == seat.room else replace(seat, room=room)


def _may_work(partition: PartitionState, belief: Belief, seat: Seat) -> bool:
    paused = seat.worker.worker_id in belief.snapshot.paused_workers
    skilled = partition.terms.required_skills <= seat.worker.skills
    return seat.room > 0 and skilled and not paused


def _may_answer(partition: PartitionState, seat: Seat) -> int:
    """Return the kinds of question a worker may get; reviewers only audit, if there are any."""
    reviewers = partition.terms.audit_skills
    if not reviewers:
        return _LABELS | _AUDITS
    return _AUDITS if reviewers <= seat.worker.skills else _LABELS


def _label_items(
    partition: PartitionState, belief: Belief, room: int, taken: Sequence[int]
) -> Ints:
    """Return open items, the most uncertain: some for each question that is to be asked."""
    if belief.mean_error <= belief.snapshot.goal_error:
        return np.empty(0, dtype=np.int32)
    found = np.flatnonzero(partition.open_labels(belief, slice(None))).astype(np.int32)
    found = found[~np.isin(found, taken)]
    ties = keyed_unit(found, partition.terms.seed)
    return found[largest(belief.error[found], ties, _CANDIDATES_PER_ANSWER * room)]


def _audit_items(partition: PartitionState, room: int, labels: int, taken: Sequence[int]) -> Ints:
    """Return the items to audit: those begun first, and so many that they keep up with labels."""
    items = partition.audit_items[~np.isin(partition.audit_items, taken)]
    asked = partition.answer_counts["audit"][items] + partition.lease_counts["audit"][items]
    short = asked < partition.terms.audit_answers_max
    items, begun = items[short], asked[short].astype(np.float32)
    behind = partition.grants["label"] - partition.grants["audit"]
    turns = room if partition.terms.audit_skills else max(0, (room + behind + 1) // 2)
    count = min(room, max(turns, room - labels))
    return items[largest(begun, keyed_unit(items, partition.terms.seed), count)]


def _gains(
    partition: PartitionState, belief: Belief, labels: Ints, seats: Sequence[Seat]
) -> tuple[Rows, Floats]:
    """Return each item's kind, and the nats each worker's answer tells, (kinds + 1, seats).

    Items of nearly one posterior are of one kind. The last row stands for audits, which go before
    every label question, as their number is bounded already; -inf for an answer that tells too
    little beside the pooled one's.
    """
    kind, log_posterior = _kinds(belief.log_posterior[labels])
    pooled = information_gain(log_posterior, belief.snapshot.pooled_log_confusion)
    known = belief.snapshot
    least = np.float32(known.worth_ratio_min) * pooled
    gain = np.zeros((len(log_posterior) + 1, len(seats)))
    for column, seat in enumerate(seats):
        told = information_gain(log_posterior, belief.log_confusion(seat.worker.worker_id))
        enough = least * dearness(seat.worker.price, known.price_mean)
        gain[:-1, column] = np.where(told >= enough, told, -np.inf)
    gain[-1] = 2 * max(float(gain.max()), 0.0)
    # A second question in parallel may turn out superfluous: such items are of other kinds.
    parallel = partition.lease_counts["label"][labels] > 0
    halved = np.concatenate([gain[:-1], gain[:-1] / 2, gain[-1:]])
    return kind + len(log_posterior) * parallel, halved


def _kinds(log_posterior: Singles) -> tuple[Rows, Singles]:
    """Return each item's kind by its rounded posterior, and one posterior of each kind."""
    for grid in _GRIDS:
        rounded = np.round(np.exp(log_posterior) * grid).astype(np.int8)
        _, first, kind = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
        if len(first) <= _KINDS_MAX:
            break
    return kind.reshape(-1), log_posterior[first]


def _known(partition: PartitionState, items: Ints, seats: Sequence[Seat]) -> Rows:
    """Return [row of item, seat] of everything that a worker holds or has answered."""
    pairs = [np.empty((0, 2), dtype=np.int64)]
    for column, seat in enumerate(seats):
        strange = partition.history(seat.worker.worker_id).without(items)
        if len(strange) < len(items):
            rows = np.flatnonzero(~np.isin(items, strange))
            pairs.append(np.stack([rows, np.full(len(rows), column)], axis=1))
    return np.concatenate(pairs)


def _worth(gain: Floats, price: Floats, waiting: float) -> Floats:
    """Return gains in money: a nat at what the crowd asks for it, and every answer worth asking.

    That is whatever it costs, and although an answer loses up to `waiting` until it is there.
    """
    found = gain[np.isfinite(gain)]
    mean = float(found.mean()) if len(found) else 0.0
    rate = float(price.mean()) / mean if mean > 0 and price.any() else 1.0
    return gain * rate + 2 * float(price.max()) + waiting + 1e-6
