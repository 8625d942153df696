"""What a shard knows: a fold over its events, as flat arrays.

An item costs 4 K bytes of posterior, 4 of error and 5 of counts and flags. All of it is rebuilt
from the stores; only leases are lost when a shard dies, and the next epoch makes those void.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from allocation.belief import Belief
from allocation.commands import Granted, PartitionKey
from allocation.fairness import FairShares
from allocation.ports import TruthSnapshot
from allocation.shortlist import Shortlist
from allocation.tables import (
    LEASE,
    AnswerTable,
    Bools,
    History,
    Ids,
    Ints,
    Leases,
    LeaseTable,
    LiveLease,
)
from allocation.terms import Rules, Terms
from cluster.domain.ids import JobId, Position, ShardId, UnixSeconds, WorkerId
from cluster.domain.work import AnswerColumns, Partition, Purpose
from cluster.errors import InvalidField

Counts = npt.NDArray[np.uint8]

_NOBODY = -1

NO_LIMIT = 1 << 30
"""More questions than anybody is asked."""


class PartitionState:
    """One partition: who answered and holds what, and what is believed.

    Positions are local (0 is `partition.first_position`) unless they are called absolute.
    `partition` carries the epoch to write with, `lease_epoch` that of the leases in this state.
    """

    def __init__(self, partition: Partition, terms: Terms, rules: Rules) -> None:
        items = partition.items
        self.partition, self.terms, self.rules = partition, terms, rules
        self.key = PartitionKey(partition.job_id, partition.number)
        self.lease_epoch = partition.epoch
        self.answers = AnswerTable()
        self.leases = LeaseTable()
        self.answer_counts: dict[Purpose, Counts] = _zero_counts(items)
        self.lease_counts: dict[Purpose, Counts] = _zero_counts(items)
        self.grants: dict[Purpose, int] = {"label": 0, "audit": 0}
        self.final: Bools = np.zeros(items, dtype=np.bool_)
        self.audit_items: Ints = np.empty(0, dtype=np.int32)
        self.belief: Belief | None = None
        self.shortlist = Shortlist.empty()
        self.answers_end, self.cost_end = 0, 0.0
        self.cost_answered, self._cost_leased = 0.0, 0.0
        self._answers_counted: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._worker_ids: list[WorkerId] = []
        self._workers: dict[WorkerId, int] = {}
        self._histories: list[History] = []

    @property
    def nbytes(self) -> int:
        """How much memory the items, answers and leases take, without what is known of workers."""
        counts = (*self.answer_counts.values(), *self.lease_counts.values(), self.final)
        belief = 0 if self.belief is None else self.belief.nbytes
        tables = self.answers.nbytes + self.leases.nbytes + self.shortlist.nbytes
        return belief + tables + sum(column.nbytes for column in counts)

    @property
    def cost(self) -> float:
        """What the answers cost, and those that are leased out will cost, together."""
        return self.cost_answered + self._cost_leased

    def local(self, position: Position) -> int:
        """Return an absolute position as a local one."""
        return position - self.partition.first_position

    def absolute(self, position: int) -> Position:
        """Return a local position as an absolute one."""
        return position + self.partition.first_position

    def history(self, worker_id: WorkerId) -> History:
        """Return what a worker holds and has answered here; empty for a stranger."""
        worker = self._workers.get(worker_id)
        return History() if worker is None else self._histories[worker]

    def turns_left(self, worker_id: WorkerId) -> int:
        """Return how many more questions a worker may be asked before a rest."""
        turns = None if self.belief is None else self.belief.turns(worker_id)
        if self.belief is None or turns is None:
            return NO_LIMIT
        worker, counted = self._workers.get(worker_id, _NOBODY), self._answers_counted
        before = int(counted[worker]) if 0 <= worker < len(counted) else 0
        return max(0, turns + before - len(self.history(worker_id)))

    def holder(self, lease: LiveLease) -> WorkerId:
        """Return who holds a lease."""
        return self._worker_ids[lease.worker]

    def held_by(self, worker_id: WorkerId) -> tuple[Ids, Leases]:
        """Return the leases that a worker may still answer, and their ids."""
        return self.leases.held_by(self._workers.get(worker_id, _NOBODY))

    def holders(self, leases: Leases) -> Counter[WorkerId]:
        """Return how many of these leases each worker holds."""
        workers, counts = np.unique(leases["worker"], return_counts=True)
        ids = self._worker_ids
        return Counter({ids[at]: n for at, n in zip(workers, counts.tolist(), strict=True)})

    def stored_label(self, worker_id: WorkerId, position: int) -> int | None:
        """Return the label a worker gave to an item; None where there is none."""
        row = self.history(worker_id).answer_row(position)
        return None if row is None else int(self.answers.labels[row])

    def missing(self, columns: AnswerColumns) -> AnswerColumns:
        """Return the answers, of a job's, that belong to this partition and are not counted."""
        here, answers, known = self.rows_here(columns), self.answers, len(self._worker_ids)
        # Strangers have numbers of their own, so that no pair of item and worker comes twice.
        numbers = [
            self._workers.get(worker_id, known + at)
            for at, worker_id in enumerate(columns.worker_ids)
        ]
        workers, stride = np.array(numbers, dtype=np.int64), known + len(numbers)
        positions = columns.positions[here] - self.partition.first_position
        looked_at = np.zeros(self.partition.items, dtype=np.bool_)
        looked_at[positions] = True
        rows = np.flatnonzero(looked_at[answers.positions])
        pairs = positions * stride + workers[columns.workers[here]]
        counted = answers.positions[rows].astype(np.int64) * stride + answers.workers[rows]
        return columns.rows(here[~np.isin(pairs, counted, assume_unique=True)])

    def leases_on(self, answers: AnswerColumns) -> Ids:
        """Return the leases by which workers hold the items of these answers; looks at each."""
        pairs = {
            (self.local(position), answers.worker_ids[worker])
            for position, worker in zip(
                answers.positions.tolist(), answers.workers.tolist(), strict=True
            )
        }
        held = [
            lease_id
            for lease_id, lease in self.leases.pairs()
            if (lease.position, self.holder(lease)) in pairs
        ]
        return np.array(held, dtype=np.int64)

    def rows_here(self, columns: AnswerColumns) -> npt.NDArray[np.intp]:
        """Return which rows of a job's answers belong to this partition."""
        local = columns.positions - self.partition.first_position
        return np.flatnonzero((local >= 0) & (local < self.partition.items))

    def open_labels(self, belief: Belief, positions: Ints | slice) -> Bools:
        """Return which items may get one more label lease."""
        answers = self.answer_counts["label"][positions]
        leases = self.lease_counts["label"][positions]
        unsure = (belief.error[positions] >= self.rules.parallel_error_min) & (answers == 0)
        free = (leases == 0) | (unsure & (leases < self.rules.parallel_leases_max))
        answers_max = min(self.terms.answers_per_item_max, belief.snapshot.label_answers_max)
        room = answers + leases < answers_max
        is_open: Bools = free & room & ~self.final[positions]
        return is_open

    def grant(self, event: Granted) -> None:
        """Count leases as out."""
        workers = self._indices(event.workers)
        leases = np.zeros(len(event.lease_ids), dtype=LEASE)
        leases["position"], leases["worker"] = event.positions, workers[event.holders]
        leases["price"] = np.array(event.prices)[event.holders]
        leases["audit"] = event.audit
        leases["expires_at"], leases["ends_by"] = event.expires_at, event.ends_by
        self.leases.add(event.lease_ids, leases)
        self._cost_leased += float(leases["price"].sum())
        for position, worker in zip(
            leases["position"].tolist(), leases["worker"].tolist(), strict=True
        ):
            self._histories[worker].hold(position)
        self._count(self.lease_counts, leases["position"], leases["audit"], 1)
        audits = int(np.count_nonzero(event.audit))
        self.grants["audit"] += audits
        self.grants["label"] += len(leases) - audits
        self.shortlist.granted(len(leases))
        self._keep_shortlist()

    def drop(self, lease_ids: Ids) -> Leases:
        """Take leases back unanswered and return those that were out."""
        ended = self._end(lease_ids)
        for position, worker in zip(
            ended["position"].tolist(), ended["worker"].tolist(), strict=True
        ):
            self._histories[worker].let_go(position)
        self.leases.note_first_end()
        return ended

    def take(self, lease_ids: Ids, answers: AnswerColumns) -> None:
        """Count the answers to leases."""
        self._end(lease_ids)
        self.add_answers(answers)

    def add_answers(self, answers: AnswerColumns) -> None:
        """Count stored answers."""
        positions = (answers.positions - self.partition.first_position).astype(np.int32)
        workers = self._indices(answers.worker_ids)[answers.workers]
        first_row = len(self.answers)
        self.answers.extend(positions, workers, answers.labels, answers.audit)
        self.cost_answered += float(answers.prices.sum())
        for row, (position, worker) in enumerate(
            zip(positions.tolist(), workers.tolist(), strict=True), start=first_row
        ):
            self._histories[worker].answered(position, row)
        self._count(self.answer_counts, positions, answers.audit, 1)
        if self.belief is not None:
            counted = ~answers.audit
            self.belief.add(
                positions[counted],
                answers.worker_ids,
                answers.workers[counted],
                answers.labels[counted],
            )

    def restore(self, columns: AnswerColumns) -> None:
        """Count all stored answers at once, in a partition that has none; others' are left out."""
        here = self.rows_here(columns)
        positions = (columns.positions[here] - self.partition.first_position).astype(np.int32)
        audit = columns.audit[here]
        known, workers = np.unique(columns.workers[here], return_inverse=True)
        self._worker_ids = [columns.worker_ids[worker] for worker in known]
        self._workers = {worker_id: index for index, worker_id in enumerate(self._worker_ids)}
        self.cost_answered = float(columns.prices[here].sum())
        self.answers.extend(positions, workers.astype(np.int32), columns.labels[here], audit)
        self.answer_counts["label"] += _counted(positions[~audit], self.partition.items)
        self.answer_counts["audit"] += _counted(positions[audit], self.partition.items)
        self._histories = _histories(self.answers, len(known))

    def learn(self, snapshot: TruthSnapshot) -> None:
        """Believe a snapshot from now on; raises InvalidField where it is of another shape."""
        shape = (self.partition.items, len(self.terms.codes))
        if snapshot.log_prior.shape != shape:
            raise InvalidField("snapshot.log_prior", f"its shape must be {shape}")
        if snapshot.weight is not None:
            self.terms = replace(self.terms, weight=snapshot.weight)
        self.belief = Belief(snapshot, self.answers, self._worker_ids)
        counted = self.answers.workers[: snapshot.answers_counted]
        self._answers_counted = np.bincount(counted if snapshot.turns is not None else counted[:0])
        self.final = np.array(snapshot.final, dtype=np.bool_)
        self.audit_items = np.flatnonzero(snapshot.audit).astype(np.int32)
        seen, paid = snapshot.answers_seen, snapshot.cost_seen
        self.answers_end = snapshot.answers_left + (len(self.answers) if seen is None else seen)
        self.cost_end = snapshot.cost_left + (self.cost_answered if paid is None else paid)
        self._refresh_shortlist(self.belief)

    def hold(self) -> None:
        """Lease nothing more until the next snapshot."""
        self.answers_end, self.cost_end = 0, 0.0

    def _end(self, lease_ids: Ids) -> Leases:
        ended = self.leases.remove(lease_ids)
        # Exactly nothing where none is left: what sums of prices lose must not add up.
        left = self._cost_leased - float(ended["price"].sum()) if len(self.leases) else 0.0
        self._cost_leased = max(left, 0.0)
        self._count(self.lease_counts, ended["position"], ended["audit"], -1)
        self.shortlist.freed(ended["position"])
        self._keep_shortlist()
        return ended

    def _count(
        self, counts: dict[Purpose, Counts], positions: Ints, audit: Bools, change: int
    ) -> None:
        """Add a number to the counts of items, one for each position."""
        step = np.int8(change).astype(np.uint8)  # one less is 255 more: bytes wrap around
        np.add.at(counts["label"], positions[~audit], step)
        if audit.any():
            np.add.at(counts["audit"], positions[audit], step)

    def _keep_shortlist(self) -> None:
        belief, shortlist, key = self.belief, self.shortlist, self.terms.seed
        if belief is None:
            return
        stretch = shortlist.stretch()
        if stretch is not None:
            is_open = self.open_labels(belief, stretch)
            shortlist.gather(stretch, belief.error[stretch], is_open, key)
        if shortlist.worn:
            self._renew_shortlist(belief)
        elif shortlist.unranked:
            items = shortlist.everything()
            shortlist.rank(belief.error[items], self.open_labels(belief, items), key)

    def _renew_shortlist(self, belief: Belief) -> None:
        found, renewed = self.shortlist.gathered(), None
        if found is not None:
            is_open = self.open_labels(belief, found)
            renewed = self.shortlist.next(found, belief.error[found], is_open, self.terms.seed)
        if renewed is None:
            self._refresh_shortlist(belief)
        else:
            self.shortlist = renewed

    def _refresh_shortlist(self, belief: Belief) -> None:
        rules, labels = self.rules, len(self.terms.codes)
        self.shortlist = Shortlist.of(
            belief.error,
            self.open_labels(belief, slice(None)),
            pool_items=rules.shortlist_pool_items,
            window=max(4, rules.shortlist_window * 8 // max(labels, 8)),
            key=self.terms.seed,
        )

    def _indices(self, worker_ids: Sequence[WorkerId]) -> Ints:
        """Return the number of each worker in this partition; new ones get the next."""
        return np.fromiter(map(self._index, worker_ids), np.int32, len(worker_ids))

    def _index(self, worker_id: WorkerId) -> int:
        worker = self._workers.setdefault(worker_id, len(self._worker_ids))
        if worker == len(self._worker_ids):
            self._worker_ids.append(worker_id)
            self._histories.append(History())
        return worker


class ShardState:
    """Every partition on a shard, and what its jobs and workers share."""

    def __init__(self, shard_id: ShardId, rules: Rules) -> None:
        self.shard_id, self.rules = shard_id, rules
        self.partitions: dict[PartitionKey, PartitionState] = {}
        self.job_shares: FairShares[JobId] = FairShares()
        self.partition_shares: FairShares[PartitionKey] = FairShares()
        self._held: dict[WorkerId, int] = {}

    def add(self, partition: PartitionState) -> None:
        """Own a partition."""
        self.partitions[partition.key] = partition

    def remove(self, key: PartitionKey) -> None:
        """Forget a partition; its leases are void."""
        partition = self.partitions.pop(key)
        for worker_id, held in partition.holders(partition.leases.out()).items():
            self.count_held(worker_id, -held)
        self.partition_shares.forget(key)
        if not any(found.job_id == key.job_id for found in self.partitions):
            self.job_shares.forget(key.job_id)

    def held(self, worker_id: WorkerId) -> int:
        """Return how many leases a worker holds on this shard."""
        return self._held.get(worker_id, 0)

    def count_held(self, worker_id: WorkerId, change: int) -> None:
        """Change how many leases a worker holds."""
        held = self.held(worker_id) + change
        if held:
            self._held[worker_id] = held
        else:
            self._held.pop(worker_id, None)

    def due(self, now: UnixSeconds) -> Iterator[tuple[PartitionKey, Ids]]:
        """Yield the leases that have ended by now, of each partition that may have any."""
        for key, partition in self.partitions.items():
            if partition.leases.may_be_due(now):
                yield key, partition.leases.due(now)


def _zero_counts(items: int) -> dict[Purpose, Counts]:
    # A byte is enough: CrowdTerms bounds answers and audits of an item by 100.
    return {"label": np.zeros(items, np.uint8), "audit": np.zeros(items, np.uint8)}


def _counted(positions: Ints, items: int) -> Counts:
    return np.bincount(positions, minlength=items).astype(np.uint8)


def _histories(answers: AnswerTable, workers: int) -> list[History]:
    order = np.lexsort((answers.positions, answers.workers)).astype(np.int32)
    bounds = np.searchsorted(answers.workers[order], np.arange(workers + 1))
    runs = [order[bounds[worker] : bounds[worker + 1]] for worker in range(workers)]
    return [History.of_answers(answers.positions[run], run) for run in runs]
