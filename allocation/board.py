"""Which shard has each partition of a job, and how partitions change hands.

A partition moves in three steps. It is *drained*: told that nothing is left to buy, it leases
nothing out, and the leases it has are answered or end. The new owner *opens* it, by which the store
names that shard at a new epoch, fences the old one off, and lets the new one read the log. The old
owner *closes* it. Whoever dies on the way, the store says who the owner is. A shard that cannot be
reached is not waited for: the epoch stops it wherever it is.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from allocation.balance import BACKLOG_SPARE, Holding, Move, plan_moves
from allocation.bulletin import Bulletin
from allocation.campaign import Campaign
from allocation.ports import PartitionReport, Shard
from allocation.purse import Amounts, Purse, shared_out
from cluster.domain.ids import JobId, ShardId, UnixSeconds
from cluster.domain.work import AnswerColumns, Partition
from cluster.errors import ShardUnavailable, Unavailable
from cluster.ports import PartitionStore

SILENT_LOOKS_MAX = 3
"""A shard that did not answer so many times on end loses its partitions."""

IDLE_LOOKS_A_TURN = 5
"""After so many looks without an answer the rest of a budget is given to another partition."""


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A partition that is being drained, until `ends_at` at the latest."""

    move: Move
    backlog: int
    ends_at: UnixSeconds


class Board:
    """The partitions of one job and the shards they are on.

    Loads within `spare` questions of the mean are even enough (`allocation.balance`). Every call
    but `rebalance` raises Unavailable where a shard cannot be reached, all do where the store
    cannot.
    """

    def __init__(
        self,
        store: PartitionStore,
        shards: Sequence[Shard],
        job_id: JobId,
        now: UnixSeconds,
        *,
        spare: int = BACKLOG_SPARE,
    ) -> None:
        self.shards = tuple(shards)
        self._store, self._job_id, self._spare = store, job_id, spare
        self.partitions = store.of_job(job_id)
        self._silent = [0] * len(self.shards)
        self._looked_at = now
        self._leaving: dict[int, _Leaving] = {}
        self._purse = Purse()
        self._reports: dict[int, PartitionReport] = {}
        self._answers: AnswerColumns | None = None
        self._seen: dict[int, Amounts] = {}
        self._idle_looks = 0

    @property
    def leaving(self) -> frozenset[int]:
        """The partitions that are being drained, by number."""
        return frozenset(self._leaving)

    def stay(self) -> None:
        """Drain no partition any more."""
        self._leaving.clear()

    def open(self) -> None:
        """Have every partition open on the shard that the store names."""
        self.partitions = self._store.of_job(self._job_id)
        for partition in self.partitions:
            self._of(partition).open(partition.job_id, partition.number)

    def publish(self, campaign: Campaign, *, audits_only: bool) -> list[PartitionReport]:
        """Tell every shard what the campaign knows, and how much it may buy for.

        Those that must buy less hear of it first, so that the others may buy more. What may be
        bought altogether is never more than the campaign's budget.
        """
        seen, targets = self._targets(campaign)
        total = sum(seen.values(), campaign.spending.left)
        by_number = {partition.number: partition for partition in self.partitions}
        bulletin = campaign.bulletin(audits_only=audits_only)
        for number in self._purse.unknown(list(by_number)) if campaign.spending.is_limited else ():
            self._tell(bulletin, by_number[number], seen[number], end=seen[number])
        reports = []
        for number in self._purse.in_turn(targets):
            end = self._purse.end(number, targets[number], seen=seen[number], total=total)
            reports.append(self._tell(bulletin, by_number[number], seen[number], end=end))
        return self._noted(reports)

    def may_buy_more(self, campaign: Campaign) -> bool:
        """Return whether a part of the budget is free, or lies where nobody has use for it."""
        if not campaign.spending.is_limited:
            return False
        self._idle_looks += 1
        seen, targets = self._targets(campaign)
        total = sum(seen.values(), campaign.spending.left)
        stopped = {
            number: targets[number]
            for number, report in self._reports.items()
            if report.open > 0 and report.wanted == 0 and number in targets
        }
        purse = self._purse
        return purse.has_room(targets, total=total) or purse.is_short(stopped, total=total)

    def reports(self) -> list[PartitionReport]:
        """Return how partitions stand on their owners; those a shard has lost are left out."""
        owners = {partition.number: partition.shard_id for partition in self.partitions}
        found = [
            report
            for shard_id in dict.fromkeys(owners.values())
            for report in self._shard(shard_id).reports(self._job_id)
            if owners[report.partition] == shard_id
        ]
        return self._noted(found)

    def rebalance(self, now: UnixSeconds, *, every_s: float, drain_s: float) -> list[Move]:
        """Look at the load of all shards now and then; return the moves that were made.

        A partition that has to wait for its leases is drained first (`leaving`) and moves at a
        later call, once they have ended or after `drain_s`.
        """
        due = [
            found.move
            for found in self._leaving.values()
            if now >= found.ends_at or self._is_drained(found.move)
        ]
        if not self._leaving and not self._looked_at <= now < self._looked_at + every_s:
            self._looked_at = now
            due += self._planned(now + drain_s)
        return [move for move in due if self._moved(move)]

    def _targets(self, campaign: Campaign) -> tuple[dict[int, Amounts], dict[int, Amounts]]:
        """Return what each partition has spent, and how far it is to go: no further, if it leaves.

        What is left goes where there is something to ask, or before anybody knows, to items. What
        does not divide goes elsewhere after a while: where it lies nobody may come.
        """
        spending = campaign.spending
        if self._answers is not campaign.answers or len(self._seen) != len(self.partitions):
            # Answers are never changed, but others put in their place as more come.
            self._answers, self._idle_looks = campaign.answers, 0
            self._seen = spending.on(self.partitions)
        weights = {found.number: self._business_of(found) for found in self.partitions}
        turn = self._idle_looks // IDLE_LOOKS_A_TURN
        shares = shared_out(weights, spending.left, spending.price_shared, turn)
        targets = {number: spent + shares[number] for number, spent in self._seen.items()}
        return self._seen, targets | {number: self._seen[number] for number in self._leaving}

    def _business_of(self, partition: Partition) -> int:
        """Return how many questions a partition has out, or would ask had the budget no end."""
        report = self._reports.get(partition.number)
        if report is None or report.round < 0:
            return partition.items
        return report.open + report.leased

    def _tell(
        self, bulletin: Bulletin, partition: Partition, seen: Amounts, *, end: Amounts
    ) -> PartitionReport:
        """Tell a partition's owner what is known, and to go no further than `end`."""
        self._purse.tell(partition.number, end)
        report = self._of(partition).publish(bulletin.snapshot(partition, end - seen, seen))
        self._purse.heed(report)
        return report

    def _planned(self, drained_at: UnixSeconds) -> list[Move]:
        """Note which partitions are to leave, and return the moves that wait for nobody."""
        self.partitions = self._store.of_job(self._job_id)
        living, holdings = self._loads()
        if any(0 < looks < SILENT_LOOKS_MAX for looks in self._silent):
            return []
        plan = plan_moves(living, holdings, spare=self._spare)
        moves = [move for move in plan if move.job_id == self._job_id]
        backlogs = {(found.job_id, found.number): found.backlog for found in holdings}
        for move in moves:
            if move.source in living:
                backlog = backlogs[move.job_id, move.number]
                self._leaving[move.number] = _Leaving(move, backlog, drained_at)
        return [move for move in moves if move.source not in living]

    def _loads(self) -> tuple[list[ShardId], list[Holding]]:
        """Return which shards answer, and every partition that is on any shard, of all jobs.

        Nobody knows what a partition without a living owner has still to ask; its items count.
        """
        living: list[ShardId] = []
        holdings: list[Holding] = []
        for shard_id in map(ShardId, range(len(self.shards))):
            try:
                holdings += self._holdings(shard_id)
            except Unavailable:
                self._silent[shard_id] += 1
            else:
                self._silent[shard_id] = 0
                living.append(shard_id)
        owners = {partition.shard_id for partition in self.partitions}
        lost = (owners | set(map(ShardId, range(len(self.shards))))) - set(living)
        holdings += [
            Holding(job_id=found.job_id, number=found.number, shard_id=owner, backlog=found.items)
            for owner in sorted(lost)
            for found in self._store.owned_by(owner)
        ]
        return living, holdings

    def _holdings(self, shard_id: ShardId) -> list[Holding]:
        """Return what a shard has; it forgets what it took for its own and is not any more."""
        shard, found = self.shards[shard_id], []
        owners = {partition.number: partition.shard_id for partition in self.partitions}
        for demand in shard.demands():
            if demand.job_id == self._job_id and owners[demand.partition] != shard_id:
                shard.close(self._job_id, demand.partition)
            else:
                found.append(
                    Holding(
                        job_id=demand.job_id,
                        number=demand.partition,
                        shard_id=shard_id,
                        backlog=demand.wanted,
                    )
                )
        return found

    def _moved(self, move: Move) -> bool:
        """Let the new shard take a partition over, and tell whether it has."""
        self._leaving.pop(move.number, None)
        with suppress(Unavailable):
            self.shards[move.target].open(move.job_id, move.number)
        # Whoever heard no reply asks the store.
        self.partitions = self._store.of_job(self._job_id)
        owner = {partition.number: partition.shard_id for partition in self.partitions}
        if owner[move.number] != move.target:
            return False
        with suppress(Unavailable):
            self._shard(move.source).close(move.job_id, move.number)
        return True

    def _noted(self, reports: list[PartitionReport]) -> list[PartitionReport]:
        """Return reports in which what a draining partition will ask elsewhere is wanted still."""
        for report in reports:
            self._purse.hear(report)
            self._reports[report.partition] = report
        return [
            report
            if (found := self._leaving.get(report.partition)) is None
            else replace(report, wanted=max(report.wanted, found.backlog))
            for report in reports
        ]

    def _is_drained(self, move: Move) -> bool:
        """Return whether no lease of a partition is out; not where its shard does not say."""
        try:
            reports = self._shard(move.source).reports(self._job_id)
        except Unavailable:
            return False
        return all(report.leased == 0 for report in reports if report.partition == move.number)

    def _of(self, partition: Partition) -> Shard:
        return self._shard(partition.shard_id)

    def _shard(self, shard_id: ShardId) -> Shard:
        """Return a shard; raises ShardUnavailable for one that the service has no more."""
        if shard_id >= len(self.shards):
            raise ShardUnavailable(shard_id)
        return self.shards[shard_id]
