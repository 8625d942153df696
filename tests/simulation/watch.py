"""The promises of the allocator, checked after every step."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allocation.leases import unseal
from allocation.ports import Offer, Outcome, Submission
from allocation.state import PartitionState, ShardState
from cluster.domain.ids import JobId, Position, WorkerId
from cluster.domain.work import PURPOSES, Partition, Purpose
from cluster.errors import LeaseForeign, LeaseInvalid, Unavailable
from cluster.ports import Stores
from tests.simulation.faults import SECRET, Node
from tests.simulation.stage import Stage

Slot = tuple[JobId, Position, WorkerId]


@dataclass(slots=True)
class Issued:
    """A token as its worker got it; `process` is the one that holds the lease behind it."""

    slot: Slot
    purpose: str
    expires_at: float
    process: tuple[int, int]


class Watch:
    """Remembers what was offered, sent and acknowledged, and compares it with what is stored."""

    def __init__(self, stores: Stores, nodes: Sequence[Node], stages: Sequence[Stage]) -> None:
        self._stores, self._nodes = stores, nodes
        self._stages = {stage.job.job_id: stage for stage in stages}
        self._read_to = dict.fromkeys(self._stages, 0)
        self._issued: dict[str, Issued] = {}
        self._purposes: dict[Slot, set[str]] = {}
        self._sent: dict[Slot, set[str]] = {}
        self.stored: dict[Slot, str] = {}
        self.acknowledged: dict[Slot, str] = {}
        self._tokens_acknowledged: set[str] = set()
        self._unchecked: set[Slot] = set()
        self._taken: set[Slot] = set()
        self.interruptions = 0
        self._interruptions_when_sent: dict[str, int] = {}
        self._answers: Counter[tuple[JobId, int]] = Counter()
        self._spent: defaultdict[JobId, float] = defaultdict(float)
        self._counts: Counter[tuple[JobId, Position, bool]] = Counter()

    @property
    def workers_asked(self) -> set[WorkerId]:
        """Whoever was offered anything so far."""
        return {slot[2] for slot in self._purposes}

    def offered(self, worker_id: WorkerId, offers: Sequence[Offer]) -> None:
        """Note what a worker was given; nobody is given anything they already answered.

        But by a shard that has been replaced and not been told: what it leases counts for nothing.
        """
        for offer in offers:
            slot = (offer.job_id, offer.position, worker_id)
            at_home = self._process_of(offer.token)[0] == self._owner_of(slot)
            again = slot in self.acknowledged and at_home
            assert not again, f"{slot} was answered and is offered again"
            assert offer.token not in self._issued, f"the token of {slot} was issued before"
            process = self._process_of(offer.token)
            self._issued[offer.token] = Issued(slot, offer.purpose, offer.expires_at, process)
            self._purposes.setdefault(slot, set()).add(offer.purpose)

    def extended(self, token: str, expires_at: float) -> None:
        """Note that a lease was extended."""
        self._issued[token].expires_at = expires_at

    def sent(self, worker_id: WorkerId, submission: Submission) -> None:
        """Note what a worker tried to say."""
        issued = self._issued.get(submission.token)
        self._interruptions_when_sent[submission.token] = self.interruptions
        if issued is not None and issued.slot[2] == worker_id:
            self._sent.setdefault(issued.slot, set()).add(submission.label)

    def heard(
        self, worker_id: WorkerId, submission: Submission, outcome: Outcome, now: float
    ) -> None:
        """Note the reply to an answer; it must be the only right one."""
        issued = self._issued.get(submission.token)
        if outcome.error is None:
            assert issued is not None, "a token was accepted that nobody issued"
            self._taken_or_replayed(worker_id, submission, outcome, issued, now)
        elif issued is None:
            assert isinstance(outcome.error, LeaseInvalid | Unavailable)
        elif issued.slot[2] != worker_id:
            assert isinstance(outcome.error, LeaseForeign | Unavailable)
        elif self.acknowledged.get(issued.slot) == submission.label:
            at_home = self._process_of(submission.token)[0] == self._owner_of(issued.slot)
            known = at_home or submission.token in self._tokens_acknowledged
            undisturbed = self._interruptions_when_sent[submission.token] == self.interruptions
            unsure = isinstance(outcome.error, Unavailable) or not (known and undisturbed)
            assert unsure, f"a replay was refused: {outcome.error}"

    def _taken_or_replayed(
        self,
        worker_id: WorkerId,
        submission: Submission,
        outcome: Outcome,
        issued: Issued,
        now: float,
    ) -> None:
        slot = issued.slot
        assert slot[2] == worker_id, f"{worker_id} answered by the lease of {slot[2]}"
        before = self.acknowledged.setdefault(slot, submission.label)
        self._tokens_acknowledged.add(submission.token)
        self._unchecked.add(slot)
        assert before == submission.label, f"{slot} was acknowledged with two labels"
        if not outcome.replayed:
            assert slot not in self._taken, f"{slot} was taken twice"
            assert now < issued.expires_at, f"{slot} was taken after its lease had ended"
            alive = self._process_of(submission.token)
            assert alive == issued.process, f"{slot} was taken by a lease from before a crash"
            self._taken.add(slot)

    def _process_of(self, token: str) -> tuple[int, int]:
        """Return the shard a token names, and which of its processes is the present one."""
        shard_id = unseal(token, SECRET).shard_id
        return shard_id, self._nodes[shard_id].starts

    def _owner_of(self, slot: Slot) -> int:
        return self._partition_of(slot[0], slot[1]).shard_id

    def check(self) -> None:
        """Raise AssertionError where a promise is broken."""
        for job_id in self._stages:
            self._check_log(job_id)
        for slot in self._unchecked:
            acknowledged = self.acknowledged[slot]
            assert self.stored.get(slot) == acknowledged, f"{slot} is acknowledged but not stored"
        self._unchecked.clear()
        for partition in self._partitions():
            self._check_partition(partition)
        for job_id in self._stages:
            self._check_budget(job_id)

    def _partitions(self) -> list[Partition]:
        return [found for job in self._stages for found in self._stores.partitions.of_job(job)]

    def _check_log(self, job_id: JobId) -> None:
        columns = self._stores.answers.read(job_id, self._read_to[job_id], 1_000_000)
        spec = self._stages[job_id].job.spec
        names, crowd = spec.label_set.names, spec.crowd
        for row in range(len(columns)):
            worker_id = columns.worker_ids[columns.workers[row]]
            slot = (job_id, int(columns.positions[row]), worker_id)
            label, audit = names[columns.labels[row]], bool(columns.audit[row])
            assert slot not in self.stored, f"{slot} is stored twice"
            assert label in self._sent.get(slot, set()), f"{slot} is stored but was never sent"
            assert ("audit" if audit else "label") in self._purposes[slot]
            self.stored[slot] = label
            self._counts[job_id, slot[1], audit] += 1
            most = crowd.audit_answers_max if audit else crowd.answers_per_item_max
            assert self._counts[job_id, slot[1], audit] <= most, f"{slot} is one answer too many"
            self._answers[job_id, self._partition_of(job_id, slot[1]).number] += 1
            self._spent[job_id] += float(columns.prices[row])
            self._read_to[job_id] = int(columns.seq[row])

    def _partition_of(self, job_id: JobId, position: Position) -> Partition:
        return next(
            found
            for found in self._stores.partitions.of_job(job_id)
            if found.first_position <= position < found.first_position + found.items
        )

    def _check_partition(self, owned: Partition) -> None:
        crowd = self._stages[owned.job_id].job.spec.crowd
        taken, state = self._answers[owned.job_id, owned.number], self._live_state(owned)
        if state is not None:
            assert len(state.answers) == taken, "a shard counts other answers than the log holds"
            check_leases(state, crowd.answers_per_item_max, crowd.audit_answers_max)

    def _check_budget(self, job_id: JobId) -> None:
        """Compare what a job has bought, and what is leased out of it, with what it may buy."""
        budget, partitions = self._stages[job_id].job.spec.budget, self._stores.partitions
        taken = sum(self._answers[job_id, found.number] for found in partitions.of_job(job_id))
        spent, leased, promised = self._spent[job_id], 0, 0.0
        for owned in partitions.of_job(job_id):
            state = self._live_state(owned)
            if state is not None:
                leased += len(state.leases)
                promised += float(state.leases.out()["price"].sum())
        if budget.answers_max is not None:
            assert taken + leased <= budget.answers_max, f"{taken} answers and {leased} leases"
        if budget.cost_max is not None:
            assert spent + promised <= budget.cost_max + 1e-6, f"{spent} and {promised} leased"

    def _live_state(self, owned: Partition) -> PartitionState | None:
        """Return the state behind a partition's newest epoch, unless a write may be unapplied."""
        service = self._nodes[owned.shard_id].service
        if service is None:
            return None
        for key, state in service._state.partitions.items():
            if key == (owned.job_id, owned.number) and state.partition.epoch == owned.epoch:
                return None if owned.epoch in self._behind(state) else state
        return None

    def _behind(self, state: PartitionState) -> set[int]:
        """Return the epoch of a state that has yet to hear of a write whose reply was lost."""
        key = (state.key.job_id, state.key.number)
        return {state.partition.epoch} if len(state.answers) < self._answers[key] else set()


def check_leases(state: PartitionState, labels_max: int, audits_max: int) -> None:
    """Compare the counts of a partition with its leases and answers, one by one."""
    holders: set[tuple[int, WorkerId]] = set()
    out = {purpose: np.zeros(state.partition.items, dtype=np.int64) for purpose in PURPOSES}
    for _, lease in state.leases.pairs():
        holder = (lease.position, state.holder(lease))
        assert holder not in holders, f"{holder} holds two live leases"
        assert state.stored_label(holder[1], lease.position) is None, f"{holder} answers again"
        holders.add(holder)
        out[lease.purpose][lease.position] += 1
    most_of: dict[Purpose, int] = {"label": labels_max, "audit": audits_max}
    for purpose, most in most_of.items():
        answers, leases = state.answer_counts[purpose], state.lease_counts[purpose]
        assert np.array_equal(leases, out[purpose]), "a lease count is off"
        assert (answers.astype(np.int64) + leases).max() <= most
    parallel = state.lease_counts["label"].max(initial=0)
    assert parallel <= state.rules.parallel_leases_max


def check_held(state: ShardState) -> None:
    """Compare how many leases each worker holds on a shard with the leases out."""
    held = Counter(
        partition.holder(lease)
        for partition in state.partitions.values()
        for _, lease in partition.leases.pairs()
    )
    assert held == state._held, "the leases of workers are counted wrongly"
    assert max(held.values(), default=0) <= state.rules.leases_per_worker_max
