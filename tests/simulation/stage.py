"""A stand-in for truth inference: it publishes snapshots that are right about counts and budgets.

What it says of workers is drawn at random: the allocator's promises must hold whatever it is told.
"""

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from allocation.board import Board
from allocation.log import read_all
from allocation.policy import Floats
from allocation.ports import PartitionReport, TruthSnapshot
from allocation.purse import NOTHING, Amounts, Purse, shared_out
from allocation.spending import Spending
from cluster.domain.ids import WorkerId
from cluster.domain.jobs import Job
from cluster.domain.work import AnswerColumns, Partition
from cluster.errors import Unavailable
from cluster.ports import Stores
from tests.simulation.faults import Clock, Node

SURE = 0.95
DRAIN_S = 30.0
POOLED_ACCURACY = 0.75
PRICE_MAX = 0.05
FORGETS_SHARE = 0.1


class Stage:
    """The asking stage of one job, which hands out its budget as the real one does.

    A teller that has died is replaced by one who knows nothing of what was handed out.
    """

    def __init__(
        self,
        job: Job,
        stores: Stores,
        nodes: list[Node],
        rng: np.random.Generator,
        clock: Clock,
    ) -> None:
        self.job, self.purse = job, Purse()
        self._stores, self._nodes, self._rng = stores, nodes, rng
        self._labels = len(job.spec.label_set)
        self.round = 0
        self.sent: list[TruthSnapshot] = []
        self.reports: dict[int, PartitionReport] = {}
        self.calm = False
        self._clock = clock
        self.board = Board(stores.partitions, nodes, job.job_id, clock.time, spare=0)
        self.moves = 0

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The job's partitions, as they are stored."""
        return tuple(self._stores.partitions.of_job(self.job.job_id))

    def refit(self) -> list[PartitionReport]:
        """Publish a snapshot to every partition that can be reached; return their reports."""
        self.round += 1
        if not self.calm and self._rng.random() < FORGETS_SHARE:
            self.purse = Purse()
        columns = read_all(self._stores.answers, self.job.job_id, 0)
        partitions = {
            found.number: found for found in self._stores.partitions.of_job(self.job.job_id)
        }
        spending = Spending(budget=self.job.spec.budget, answers=columns)
        seen = spending.on(list(partitions.values()))
        left = spending.left
        total = sum(seen.values(), left)
        for number in self.purse.unknown(list(partitions)):
            self._tell(partitions[number], seen[number], NOTHING, columns)
        if self.purse.unknown(list(partitions)):
            return []
        targets = self._targets(partitions, seen, left)
        ends = (
            (number, self.purse.end(number, targets[number], seen=seen[number], total=total))
            for number in self.purse.in_turn(targets)
        )
        told = [
            self._tell(partitions[number], seen[number], end - seen[number], columns)
            for number, end in ends
        ]
        return [report for report in told if report is not None]

    def hear(self) -> None:
        """Learn how partitions stand, where their shards can be reached."""
        with suppress(Unavailable):
            for report in self.board.reports():
                self.purse.hear(report)

    def _targets(
        self, partitions: Mapping[int, Partition], seen: Mapping[int, Amounts], left: Amounts
    ) -> dict[int, Amounts]:
        weights = {
            number: found.items if (report := self.reports.get(number)) is None else report.open
            for number, found in partitions.items()
        }
        shares = shared_out(weights, left, PRICE_MAX)
        leaving = self.board.leaving
        return {
            number: spent if number in leaving else spent + shares[number]
            for number, spent in seen.items()
        }

    def _tell(
        self, partition: Partition, seen: Amounts, left: Amounts, columns: AnswerColumns
    ) -> PartitionReport | None:
        snapshot = self._snapshot(partition, seen, left, columns)
        self.sent.append(snapshot)
        self.purse.tell(partition.number, seen + left)
        report = self._publish(partition, snapshot)
        if report is not None:
            self.reports[partition.number] = report
            self.purse.heed(report)
        return report

    def rebalance(self) -> None:
        """Move what should move by now, as the real stage does."""
        self.hear()
        made = self.board.rebalance(self._clock.time, every_s=1.0, drain_s=DRAIN_S)
        self.moves += len(made)

    def publish_old(self) -> None:
        """Send a snapshot of some earlier round once more."""
        if self.sent:
            old = self.sent[int(self._rng.integers(len(self.sent)))]
            for partition in self._stores.partitions.of_job(self.job.job_id):
                if partition.number == old.partition:
                    self._publish(partition, old)

    def _publish(self, partition: Partition, snapshot: TruthSnapshot) -> PartitionReport | None:
        node = self._nodes[partition.shard_id]
        try:
            node.open(partition.job_id, partition.number)
            return node.publish(snapshot)
        except Unavailable:
            return None

    def _snapshot(
        self, partition: Partition, seen: Amounts, left: Amounts, columns: AnswerColumns
    ) -> TruthSnapshot:
        local = columns.positions - partition.first_position
        here = (local >= 0) & (local < partition.items)
        counted = here & ~columns.audit
        log_posterior = np.zeros((partition.items, self._labels))
        for position, label in zip(local[counted], columns.labels[counted], strict=True):
            log_posterior[position] += pooled(self._labels)[:, label]
        log_posterior -= np.logaddexp.reduce(log_posterior, axis=1, keepdims=True)
        known, confusions = self._workers(columns)
        paused = [] if self.calm else [found for found in known if self._rng.random() < 0.05]
        return TruthSnapshot(
            job_id=self.job.job_id,
            partition=partition.number,
            round=self.round,
            worker_ids=known,
            log_confusion=confusions,
            pooled_log_confusion=pooled(self._labels),
            paused_workers=frozenset(paused),
            log_prior=np.full(log_posterior.shape, -np.log(self._labels), dtype=np.float32),
            final=np.exp(log_posterior.max(axis=1)) > SURE,
            audit=self._audit(partition),
            goal_error=0.0,
            answers_left=int(min(left[0], 10**6)) if self._heard_well() else 0,
            answers_seen=int(seen[0]),
            cost_left=float(left[1]),
            cost_seen=float(seen[1]),
            price_likely=PRICE_MAX,
            label_answers_max=self.job.spec.crowd.answers_per_item_max,
        )

    def _heard_well(self) -> bool:
        return self.calm or self._rng.random() < 0.95

    def _audit(self, partition: Partition) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        sample = np.random.default_rng([self.job.spec.seed, partition.number])
        return sample.random(partition.items) < self.job.spec.crowd.audit_share

    def _workers(self, columns: AnswerColumns) -> tuple[tuple[WorkerId, ...], Floats]:
        known = tuple(found for found in columns.worker_ids if self._rng.random() < 0.7)
        confusions = self._rng.dirichlet(np.ones(self._labels), (len(known), self._labels))
        return known, np.log(np.maximum(confusions, 1e-6)).astype(np.float32)


def pooled(labels: int) -> Floats:
    """Return the log confusion of a worker who is right three times in four."""
    wrong = (1.0 - POOLED_ACCURACY) / (labels - 1)
    confusion = np.full((labels, labels), wrong) + np.eye(labels) * (POOLED_ACCURACY - wrong)
    logs: Floats = np.log(confusion).astype(np.float32)
    return logs


def is_finished(reports: list[PartitionReport], partitions: int) -> bool:
    """Whether every partition reported that it has nothing to ask and nothing out."""
    return len(reports) == partitions and all(
        report.wanted == 0 and report.leased == 0 for report in reports
    )
