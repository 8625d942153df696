"""A stand-in for truth inference: it publishes snapshots that are right about counts and budgets.

What it says of workers is drawn at random: the allocator's promises must hold whatever it is told.
"""

import numpy as np

from allocation.board import Board
from allocation.log import read_all
from allocation.policy import Floats
from allocation.ports import PartitionReport, TruthSnapshot
from cluster.domain.ids import WorkerId
from cluster.domain.jobs import Job
from cluster.domain.work import AnswerColumns, Partition
from cluster.errors import Unavailable
from cluster.ports import Stores
from tests.simulation.faults import Clock, Node

SURE = 0.95
DRAIN_S = 30.0
POOLED_ACCURACY = 0.75


class Stage:
    """The asking stage of one job; `budgets` is what each partition may spend, in answers."""

    def __init__(
        self,
        job: Job,
        budgets: tuple[int, ...],
        stores: Stores,
        nodes: list[Node],
        rng: np.random.Generator,
        clock: Clock,
    ) -> None:
        self.job, self.budgets = job, budgets
        self._stores, self._nodes, self._rng = stores, nodes, rng
        self._labels = len(job.spec.label_set)
        self.round = 0
        self.sent: list[TruthSnapshot] = []
        self.calm = False
        self._clock = clock
        self.board = Board(stores.partitions, nodes, job.job_id, clock.time, spare=0)
        self.moves = 0

    def refit(self) -> list[PartitionReport]:
        """Publish a snapshot to every partition that can be reached; return their reports."""
        self.round += 1
        columns = read_all(self._stores.answers, self.job.job_id, 0)
        reports = []
        for partition in self._stores.partitions.of_job(self.job.job_id):
            snapshot = self._snapshot(partition, columns)
            self.sent.append(snapshot)
            report = self._publish(partition, snapshot)
            if report is not None:
                reports.append(report)
        return reports

    def rebalance(self) -> None:
        """Move what should move by now, as the real stage does."""
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

    def _snapshot(self, partition: Partition, columns: AnswerColumns) -> TruthSnapshot:
        local = columns.positions - partition.first_position
        here = (local >= 0) & (local < partition.items)
        counted = here & ~columns.audit
        log_posterior = np.zeros((partition.items, self._labels))
        for position, label in zip(local[counted], columns.labels[counted], strict=True):
            log_posterior[position] += pooled(self._labels)[:, label]
        log_posterior -= np.logaddexp.reduce(log_posterior, axis=1, keepdims=True)
        seen = int(here.sum())
        leaves = partition.number in self.board.leaving
        left = 0 if leaves else self.budgets[partition.number] - seen
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
            answers_left=left if self.calm or self._rng.random() < 0.95 else 0,
            answers_seen=seen,
            label_answers_max=self.job.spec.crowd.answers_per_item_max,
        )

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
