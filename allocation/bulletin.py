"""What a campaign publishes at once: what it tells every shard alike, and what each of its items.

A job has many partitions, and most of what a snapshot says is the same for all of them. That is
found out once, and not again for each: a bulletin is made for one publication, by what is known
then, and thrown away after it.
"""

from dataclasses import dataclass

import numpy as np

from allocation.ports import Floats, TruthSnapshot
from allocation.purse import ANSWERS_MAX, Amounts
from allocation.quality.votes import Bools
from allocation.quality.votes import Floats as LogProbabilities
from allocation.rest import Turns, shared
from allocation.vetting import GOLD_ITEMS_MAX
from cluster.domain.ids import WorkerId
from cluster.domain.work import Partition


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Bulletin:
    """The fields of `allocation.ports.TruthSnapshot`; those of items are of all the job's items.

    `log_label` (items, K) is what the snapshots call `log_prior`, `closed` what they call `final`;
    `turns` are shared out among the partitions.
    """

    round: int
    worker_ids: tuple[WorkerId, ...]
    log_confusion: Floats
    pooled_log_confusion: Floats
    paused_workers: frozenset[WorkerId]
    proven_workers: frozenset[WorkerId]
    seconds: Floats
    turns: Turns | None
    log_label: LogProbabilities
    closed: Bools
    audit: Bools
    gold: Bools
    goal_error: float
    label_answers_max: int
    worth_ratio_min: float
    price_mean: float
    price_likely: float
    weight: float

    def snapshot(self, partition: Partition, left: Amounts, seen: Amounts) -> TruthSnapshot:
        """Return what the owner of a partition should act on, with so much left to buy for.

        `seen` is what the partition has bought by what is known (`Spending.on`).
        """
        here = slice(partition.first_position, partition.first_position + partition.items)
        answers_seen = round(float(seen[0]))
        return TruthSnapshot(
            job_id=partition.job_id,
            partition=partition.number,
            round=self.round,
            worker_ids=self.worker_ids,
            log_confusion=self.log_confusion,
            pooled_log_confusion=self.pooled_log_confusion,
            paused_workers=self.paused_workers,
            log_prior=self.log_label[here].astype(np.float32),
            final=self.closed[here],
            audit=self.audit[here],
            goal_error=self.goal_error,
            answers_left=int(min(left[0], ANSWERS_MAX)),
            answers_seen=answers_seen,
            answers_counted=answers_seen,
            label_answers_max=self.label_answers_max,
            worth_ratio_min=self.worth_ratio_min,
            price_mean=self.price_mean,
            cost_left=float(left[1]),
            cost_seen=float(seen[1]),
            price_likely=self.price_likely,
            gold=np.flatnonzero(self.gold[here])[:GOLD_ITEMS_MAX],
            proven_workers=self.proven_workers,
            weight=self.weight,
            seconds=self.seconds,
            turns=shared(self.turns, partition.items / len(self.log_label)),
        )
