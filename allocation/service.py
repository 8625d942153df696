"""One allocator shard over its stores: load, decide, store, apply, reply. No Ray here."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, islice

from allocation.allocator import apply, decide, judged
from allocation.commands import (
    Assign,
    Claim,
    ClaimTogether,
    Command,
    Dropped,
    Eligible,
    Entry,
    Event,
    Expire,
    Extend,
    Extended,
    Granted,
    Hold,
    PartitionKey,
    Publish,
    Release,
    Settling,
    Submit,
    Taken,
)
from allocation.leases import Ticket, unseal
from allocation.log import read_all
from allocation.offers import held, offered
from allocation.ports import (
    EVERY_JOB,
    Batch,
    Demand,
    Extension,
    Offer,
    Outcome,
    PartitionReport,
    Submission,
    TruthSnapshot,
)
from allocation.selection import demand, report
from allocation.settlement import Request, Settlement, Write
from allocation.state import PartitionState, ShardState
from allocation.terms import Rules, Terms
from cluster.clock import Clock
from cluster.domain.ids import JobId, ShardId
from cluster.domain.work import AnswerColumns, Partition, WorkerProfile
from cluster.errors import AlreadyAnswered, LeaseInvalid, ShardUnavailable, StaleEpoch
from cluster.ports import Stores

_DEMANDS_AGE_MAX_S = 1.0


class ShardService:
    """A `Shard` in this process; one call at a time, but for `store_answers`.

    `secret` signs lease tokens and must be the same for every shard and router. `leases_expired`
    counts those that ran out.
    """

    def __init__(
        self, shard_id: ShardId, stores: Stores, clock: Clock, secret: bytes, rules: Rules
    ) -> None:
        self._stores, self._clock, self._secret = stores, clock, secret
        self._state = ShardState(shard_id, rules)
        self._log_end: dict[PartitionKey, int] = {}
        self._unsure: set[PartitionKey] = set()
        self._demands: tuple[Demand, ...] = ()
        self._demands_at = -_DEMANDS_AGE_MAX_S
        self.leases_expired = 0

    @property
    def leases_out(self) -> int:
        """How many leases are out, those that have run out since the last call among them."""
        return sum(len(partition.leases) for partition in self._state.partitions.values())

    def recover(self) -> None:
        """Open every partition that the stores say is this shard's."""
        owned = self._stores.partitions.owned_by(self._state.shard_id)
        for job_id in dict.fromkeys(partition.job_id for partition in owned):
            self._open(job_id, [found.number for found in owned if found.job_id == job_id])

    def open(self, job_id: JobId, partition: int) -> None:
        """Own a partition, its state rebuilt from the stores; nothing where it is owned already."""
        self._begin()
        key = PartitionKey(job_id, partition)
        if key in self._state.partitions and not self._owns(key):
            self._forget(key)
        if key not in self._state.partitions:
            self._open(job_id, [partition])

    def close(self, job_id: JobId, partition: int | None = None) -> None:
        """Forget a job, or one partition of it; its leases are void."""
        for key in tuple(self._state.partitions):
            if key.job_id == job_id and partition in (None, key.number):
                self._forget(key)

    def publish(self, snapshot: TruthSnapshot) -> PartitionReport:
        """Use a newer snapshot from now on; an older round than the present one is ignored.

        Raises ShardUnavailable where the partition is not open on this shard.
        """
        self._begin()
        key = PartitionKey(snapshot.job_id, snapshot.partition)
        if key not in self._state.partitions:
            raise ShardUnavailable(self._state.shard_id)
        self._do(Publish(snapshot))
        return report(self._state.partitions[key])

    def hold(self, job_id: JobId) -> None:
        """Lease nothing more of a job until its next snapshot; what is out may be answered."""
        self._do(Hold(job_id))

    def reports(self, job_id: JobId) -> tuple[PartitionReport, ...]:
        """Return how the job's partitions on this shard stand, after expiring leases."""
        self._begin()
        found = sorted(key for key in self._state.partitions if key.job_id == job_id)
        return tuple(report(self._state.partitions[key]) for key in found)

    def demands(self) -> tuple[Demand, ...]:
        """Return what each partition on this shard would still ask.

        As it was at most a second ago: it is asked for often, and takes a look at every item.
        """
        now = self._clock.now()
        if not self._demands_at <= now < self._demands_at + _DEMANDS_AGE_MAX_S:
            self._begin()
            self._demands_at = now
            self._demands = tuple(map(demand, self._state.partitions.values()))
        return self._demands

    def claim(
        self, worker: WorkerProfile, count: int, eligible: Eligible | None = None
    ) -> tuple[Offer, ...]:
        """Lease up to `count` items to a worker, the most valuable first; may be empty."""
        return self.claim_all([Claim(worker=worker, count=count, eligible=eligible)])[0]

    def claim_all(self, claims: Sequence[Claim]) -> tuple[tuple[Offer, ...], ...]:
        """Serve the claims of several workers, as many as may be in one look."""
        self._begin()
        offers: list[list[Offer]] = [[] for _ in claims]
        if len(claims) > 1:
            self._offer(ClaimTogether(tuple(claims)), offers)
        for claim, found in zip(claims, offers, strict=True):
            if len(found) < claim.count:
                rest = replace(claim, count=claim.count - len(found))
                self._offer(rest, [found])
        return tuple(tuple(found) for found in offers)

    def assign(
        self, workers: Sequence[WorkerProfile], counts: Sequence[int], batch: Batch = EVERY_JOB
    ) -> tuple[tuple[Offer, ...], ...]:
        """Lease items to many workers at once, up to `counts` to each, by one matching.

        A worker who comes twice is served once.
        """
        self._begin()
        offers: list[list[Offer]] = [[] for _ in workers]
        self._offer(Assign(workers=tuple(workers), counts=tuple(counts), batch=batch), offers)
        return tuple(tuple(found) for found in offers)

    def held(self, worker: WorkerProfile, count: int) -> tuple[Offer, ...]:
        """Return up to `count` leases that a worker holds now, however it came by them."""
        self._begin()
        partitions = [self._state.partitions[key] for key in sorted(self._state.partitions)]
        shard_id, worker_id = self._state.shard_id, worker.worker_id
        found = (held(shard_id, each, worker_id, self._secret) for each in partitions)
        return tuple(islice(chain.from_iterable(found), count))

    def answer(
        self, worker: WorkerProfile, submissions: Sequence[Submission]
    ) -> tuple[Outcome, ...]:
        """Take answers; each outcome says whether that answer is stored."""
        return self.answer_all([Request(worker=worker, submissions=tuple(submissions))])[0]

    def answer_all(self, requests: Sequence[Request]) -> tuple[tuple[Outcome, ...], ...]:
        """Take the answers of several workers in one write for each partition."""
        settlement = self.decide_answers(requests)
        while settlement.writes:
            try:
                self.store_answers(settlement)
            finally:
                self.settle_answers(settlement)
        return settlement.replies()

    def decide_answers(self, requests: Sequence[Request]) -> Settlement:
        """Decide on answers, and hold the leases of the good ones until these are settled.

        Until then no other answers may be decided on.
        """
        self._begin()
        settlement = Settlement(requests)
        groups: dict[PartitionKey, tuple[list[Entry], list[int]]] = {}
        place = 0
        for request in requests:
            for submission in request.submissions:
                ticket = self._ticket(submission.token)
                if ticket is not None:
                    key = PartitionKey(ticket.job_id, ticket.partition)
                    entries, places = groups.setdefault(key, ([], []))
                    worker_id = request.worker.worker_id
                    entries.append(
                        Entry(worker_id, ticket, submission.label, submission.duration_s)
                    )
                    places.append(place)
                place += 1
        here = [key for key in groups if key in self._state.partitions]
        # What must read the stores first: where that fails no lease is held yet.
        for key in groups.keys() - here:
            self._recall(settlement, key, *groups[key])
        for key in here:
            self._decide(settlement, key, *groups[key])
        return settlement

    def store_answers(self, settlement: Settlement) -> None:
        """Write good answers to the log; needs no lock, for it touches nothing but the log."""
        settlement.store(self._stores.answers)

    def settle_answers(self, settlement: Settlement) -> None:
        """Apply what is stored; `settlement.writes` then holds what must be stored anew.

        To be called whatever became of `store_answers`: unless the log has said that it holds
        the answers, or that it does not, nobody can be sure.
        """
        writes, settlement.writes = settlement.writes, []
        for write in writes:
            key, partition = write.taken.key, write.state
            mine = self._state.partitions.get(key) is partition
            if write.ended and write.error is None:
                if mine:
                    apply(self._state, write.taken)
                    self._log_end[key] = write.log_end
                settlement.stored(write)
            elif isinstance(write.error, StaleEpoch):
                if mine:
                    self._forget(key)
                settlement.void(write)
            elif mine:
                self._unsure.add(key)
                self._settle_unsure(settlement, write)
            else:
                settlement.failed(write, ShardUnavailable(self._state.shard_id))

    def _settle_unsure(self, settlement: Settlement, write: Write) -> None:
        """Where the log knows an answer that the state does not, catch up and decide again."""
        if isinstance(write.error, AlreadyAnswered):
            self._make_sure(write.taken.key)
            self._decide(settlement, write.taken.key, write.entries, write.places)
        else:
            settlement.failed(write, write.error or ShardUnavailable(self._state.shard_id))

    def _decide(
        self,
        settlement: Settlement,
        key: PartitionKey,
        entries: Sequence[Entry],
        places: Sequence[int],
    ) -> None:
        command = Submit(key=key, entries=tuple(entries))
        events = decide(self._state, command, self._clock.now())
        settlement.note(events, places)
        for event in events:
            if isinstance(event, Taken):
                apply(self._state, Settling(key=key, lease_ids=event.lease_ids))
                partition = self._state.partitions[key]
                settlement.writes.append(
                    Write(
                        state=partition,
                        fence=partition.partition,
                        taken=event,
                        entries=command.entries,
                        places=list(places),
                    )
                )

    def _recall(
        self,
        settlement: Settlement,
        key: PartitionKey,
        entries: Sequence[Entry],
        places: Sequence[int],
    ) -> None:
        """Acknowledge anew what is stored of a partition that has moved, or whose job has ended."""
        slots = [(entry.ticket.position, entry.ticket.worker_id) for entry in entries]
        before = self._stores.answers.find(key.job_id, slots)
        codes = Terms.of(key.job_id, self._stores.jobs.load(key.job_id).spec).codes
        known = enumerate(zip(entries, before, strict=True))
        settlement.note([judged(codes, index, *found) for index, found in known], places)

    def release(self, worker: WorkerProfile, tokens: Sequence[str]) -> int:
        """Give leases back unanswered and return how many were still held."""
        self._begin()
        tickets = [ticket for token in tokens if (ticket := self._ticket(token)) is not None]
        events = self._do(Release(worker_id=worker.worker_id, tickets=tuple(tickets)))
        return sum(len(event.lease_ids) for event in events if isinstance(event, Dropped))

    def heartbeat(self, worker: WorkerProfile, tokens: Sequence[str]) -> tuple[Extension, ...]:
        """Extend leases that are still held, each to at most `Rules.lease_terms_max` terms."""
        self._begin()
        opened = [(token, ticket) for token in tokens if (ticket := self._ticket(token))]
        command = Extend(worker_id=worker.worker_id, tickets=tuple(ticket for _, ticket in opened))
        until = {
            opened[event.index][0]: event.expires_at
            for event in self._do(command)
            if isinstance(event, Extended)
        }
        return tuple(Extension(token=token, expires_at=until.get(token)) for token in tokens)

    def _begin(self) -> None:
        """Be sure of what is stored, and expire leases: the start of every call."""
        for key in tuple(self._unsure):
            self._make_sure(key)
        expired = self._do(Expire())
        self.leases_expired += sum(
            len(event.lease_ids) for event in expired if isinstance(event, Dropped)
        )

    def _do(self, command: Command) -> tuple[Event, ...]:
        """Decide and apply a command that stores nothing."""
        events = decide(self._state, command, self._clock.now())
        for event in events:
            apply(self._state, event)
        return events

    def _make_sure(self, key: PartitionKey) -> None:
        """Find out what became of a write whose outcome was not heard.

        The new epoch stops that write if it is still under way; leases out stay good, for their
        tickets bear the epoch in which this state began. Where another shard has become the owner
        the partition is forgotten.
        """
        if not self._owns(key):
            self._forget(key)
            return
        partition = self._state.partitions[key]
        partition.partition = self._stores.partitions.acquire(
            key.job_id, key.number, self._state.shard_id
        )
        self._catch_up(key)
        partition.leases.settle_none()
        self._unsure.discard(key)

    def _owns(self, key: PartitionKey) -> bool:
        """Return whether nobody has opened a partition since this state was begun."""
        newest = {found.number: found for found in self._stores.partitions.of_job(key.job_id)}
        return newest[key.number].epoch == self._state.partitions[key].partition.epoch

    def _catch_up(self, key: PartitionKey) -> None:
        """Count what the state has missed, all of it after `Write.log_end`; end its leases."""
        partition = self._state.partitions[key]
        columns = read_all(self._stores.answers, key.job_id, self._log_end[key])
        missed = partition.missing(columns)
        held = partition.leases_on(missed)
        apply(self._state, Dropped(key, held))
        partition.add_answers(missed)
        if len(columns):
            self._log_end[key] = int(columns.seq[-1])

    def _open(self, job_id: JobId, numbers: Sequence[int]) -> None:
        job = self._stores.jobs.load(job_id)
        terms = Terms.of(job_id, job.agreed)
        # Fence first: what is read afterwards cannot be added to by an older owner.
        fences = [
            self._stores.partitions.acquire(job_id, number, self._state.shard_id)
            for number in numbers
        ]
        columns = read_all(self._stores.answers, job_id, 0)
        for fence in fences:
            self._add(fence, terms, columns)

    def _add(self, fence: Partition, terms: Terms, columns: AnswerColumns) -> None:
        partition = PartitionState(fence, terms, self._state.rules)
        partition.restore(columns)
        self._state.add(partition)
        self._log_end[partition.key] = int(columns.seq[-1]) if len(columns) else 0

    def _forget(self, key: PartitionKey) -> None:
        self._state.remove(key)
        self._unsure.discard(key)
        del self._log_end[key]

    def _offer(
        self, command: Claim | ClaimTogether | Assign, offers: Sequence[list[Offer]]
    ) -> None:
        """Carry out claims; add what each is offered to its list."""
        for event in self._do(command):
            if isinstance(event, Granted):
                partition = self._state.partitions[event.key]
                for holder, offer in offered(self._state.shard_id, partition, event, self._secret):
                    offers[holder].append(offer)

    def _ticket(self, token: str) -> Ticket | None:
        try:
            return unseal(token, self._secret)
        except LeaseInvalid:
            return None
