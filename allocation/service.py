"""One allocator shard over its stores: load, decide, store, apply, reply. No Ray here."""

from collections.abc import Sequence
from dataclasses import dataclass

from allocation.allocator import apply, decide
from allocation.commands import (
    Assign,
    Claim,
    Command,
    Dropped,
    Eligible,
    Entry,
    Event,
    Expire,
    Extend,
    Extended,
    Granted,
    PartitionKey,
    Publish,
    Refused,
    Release,
    Replayed,
    Submit,
    Taken,
)
from allocation.leases import Ticket, seal, unseal
from allocation.log import read_all
from allocation.ports import (
    Extension,
    Offer,
    Outcome,
    PartitionReport,
    Submission,
    TruthSnapshot,
)
from allocation.selection import report
from allocation.state import PartitionState, ShardState
from allocation.terms import Rules, Terms
from cluster.clock import Clock
from cluster.domain.ids import JobId, ShardId, WorkerId
from cluster.domain.work import PURPOSES, AnswerColumns, Partition, WorkerProfile
from cluster.errors import (
    AlreadyAnswered,
    LeaseExpired,
    LeaseInvalid,
    MusterError,
    ShardUnavailable,
    StaleEpoch,
    Unavailable,
)
from cluster.ports import Stores

Verdict = Taken | Replayed | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One worker's call of `answer`, for `answer_all`."""

    worker: WorkerProfile
    submissions: tuple[Submission, ...]


class ShardService:
    """A `Shard` in this process; one call at a time.

    `secret` signs lease tokens and must be the same for every shard and router.
    """

    def __init__(
        self, shard_id: ShardId, stores: Stores, clock: Clock, secret: bytes, rules: Rules
    ) -> None:
        self._stores, self._clock, self._secret = stores, clock, secret
        self._state = ShardState(shard_id, rules)
        self._log_end: dict[PartitionKey, int] = {}
        self._unsure: set[PartitionKey] = set()

    def recover(self) -> None:
        """Open every partition that the stores say is this shard's."""
        owned = self._stores.partitions.owned_by(self._state.shard_id)
        for job_id in dict.fromkeys(partition.job_id for partition in owned):
            self._open(job_id, [found.number for found in owned if found.job_id == job_id])

    def open(self, job_id: JobId, partition: int) -> None:
        """Take ownership of a partition and rebuild its state from the stores; idempotent."""
        self._begin()
        if PartitionKey(job_id, partition) not in self._state.partitions:
            self._open(job_id, [partition])

    def close(self, job_id: JobId) -> None:
        """Forget a job; its leases are void."""
        for key in [key for key in self._state.partitions if key.job_id == job_id]:
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

    def reports(self, job_id: JobId) -> tuple[PartitionReport, ...]:
        """Return how the job's partitions on this shard stand, after expiring leases."""
        self._begin()
        found = sorted(key for key in self._state.partitions if key.job_id == job_id)
        return tuple(report(self._state.partitions[key]) for key in found)

    def backlog(self) -> int:
        """Return how many questions this shard would still ask, over all jobs."""
        self._begin()
        return sum(report(partition).wanted for partition in self._state.partitions.values())

    def claim(
        self, worker: WorkerProfile, count: int, eligible: Eligible | None = None
    ) -> tuple[Offer, ...]:
        """Lease up to `count` items to a worker, the most valuable first; may be empty."""
        self._begin()
        events = self._do(Claim(worker=worker, count=count, eligible=eligible))
        return tuple(self._offer(event) for event in events if isinstance(event, Granted))

    def assign(
        self, workers: Sequence[WorkerProfile], counts: Sequence[int]
    ) -> tuple[tuple[Offer, ...], ...]:
        """Lease items to many workers at once, up to `counts` to each, by one matching.

        A worker who comes twice is served once.
        """
        self._begin()
        offers: dict[WorkerId, list[Offer]] = {worker.worker_id: [] for worker in workers}
        for event in self._do(Assign(workers=tuple(workers), counts=tuple(counts))):
            if isinstance(event, Granted):
                offers[event.worker_id].append(self._offer(event))
        return tuple(tuple(offers.pop(worker.worker_id, [])) for worker in workers)

    def answer(
        self, worker: WorkerProfile, submissions: Sequence[Submission]
    ) -> tuple[Outcome, ...]:
        """Take answers; each outcome says whether that answer is stored."""
        return self.answer_all([Request(worker=worker, submissions=tuple(submissions))])[0]

    def answer_all(self, requests: Sequence[Request]) -> tuple[tuple[Outcome, ...], ...]:
        """Take the answers of several workers in one write for each partition."""
        self._begin()
        outcomes: list[list[Outcome]] = [
            [Outcome(token=found.token, error=LeaseInvalid()) for found in request.submissions]
            for request in requests
        ]
        groups: dict[PartitionKey, list[tuple[int, int, Entry]]] = {}
        for at, request in enumerate(requests):
            for index, submission in enumerate(request.submissions):
                entry = self._entry(request.worker, submission)
                if entry is not None:
                    key = PartitionKey(entry.ticket.job_id, entry.ticket.partition)
                    groups.setdefault(key, []).append((at, index, entry))
        for key, group in groups.items():
            verdicts = self._settle(key, tuple(entry for _, _, entry in group))
            for (at, index, _), verdict in zip(group, verdicts, strict=True):
                token = requests[at].submissions[index].token
                outcomes[at][index] = _outcome(token, verdict)
        return tuple(tuple(found) for found in outcomes)

    def release(self, worker: WorkerProfile, tokens: Sequence[str]) -> int:
        """Give leases back unanswered and return how many were still held."""
        self._begin()
        tickets = [ticket for token in tokens if (ticket := self._ticket(token)) is not None]
        events = self._do(Release(worker_id=worker.worker_id, tickets=tuple(tickets)))
        return sum(isinstance(event, Dropped) for event in events)

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
        self._do(Expire())

    def _do(self, command: Command) -> tuple[Event, ...]:
        """Decide and apply a command that stores nothing."""
        events = decide(self._state, command, self._clock.now())
        for event in events:
            apply(self._state, event)
        return events

    def _settle(self, key: PartitionKey, entries: tuple[Entry, ...]) -> Sequence[Verdict]:
        """Decide on answers to one partition, store the good ones, then apply them.

        Where the log knows an answer that the state does not, the state catches up and decides
        again.
        """
        for _ in range(2):
            verdicts = _verdicts(decide(self._state, Submit(entries=entries), self._clock.now()))
            taken = [verdict for verdict in verdicts if isinstance(verdict, Taken)]
            try:
                self._store(key, taken)
            except AlreadyAnswered:
                self._make_sure(key)
            except StaleEpoch:
                self._forget(key)
                return [Refused(index, _expired(entry)) for index, entry in enumerate(entries)]
            except Unavailable as busy:
                return [Refused(index, busy) for index in range(len(entries))]
            else:
                for event in taken:
                    apply(self._state, event)
                return verdicts
        raise ShardUnavailable(self._state.shard_id)

    def _store(self, key: PartitionKey, taken: Sequence[Taken]) -> None:
        """Append answers to the log; unless that ends well nobody can be sure what it holds."""
        if taken:
            self._unsure.add(key)
            fence = self._state.partitions[key].partition
            self._stores.answers.append(fence, [event.answer for event in taken])
            self._unsure.discard(key)

    def _make_sure(self, key: PartitionKey) -> None:
        """Find out what became of a write whose outcome was not heard.

        The new epoch stops that write if it is still under way; leases out stay good, for their
        tickets bear the epoch in which this state began. Where another shard has become the owner
        the partition is forgotten.
        """
        partition = self._state.partitions[key]
        newest = {found.number: found for found in self._stores.partitions.of_job(key.job_id)}
        if newest[key.number].epoch != partition.partition.epoch:
            self._forget(key)
            return
        partition.partition = self._stores.partitions.acquire(
            key.job_id, key.number, self._state.shard_id
        )
        self._catch_up(key)
        self._unsure.discard(key)

    def _catch_up(self, key: PartitionKey) -> None:
        """Count answers of the log that the state has missed, and end their leases."""
        partition = self._state.partitions[key]
        columns = read_all(self._stores.answers, key.job_id, self._log_end[key])
        for row in partition.rows_here(columns):
            worker_id = columns.worker_ids[columns.workers[row]]
            position = partition.local(int(columns.positions[row]))
            if partition.stored_label(worker_id, position) is None:
                lease_id = partition.lease_on(position, worker_id)
                if lease_id is not None:
                    apply(self._state, Dropped(key, lease_id))
                purpose = PURPOSES[int(columns.audit[row])]
                partition.add_answer(worker_id, position, int(columns.labels[row]), purpose)
        if len(columns):
            self._log_end[key] = int(columns.seq[-1])

    def _open(self, job_id: JobId, numbers: Sequence[int]) -> None:
        job = self._stores.jobs.load(job_id)
        terms = Terms.of(job_id, job.spec)
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

    def _offer(self, event: Granted) -> Offer:
        ticket = Ticket(
            shard_id=self._state.shard_id,
            job_id=event.key.job_id,
            partition=event.key.number,
            epoch=self._state.partitions[event.key].lease_epoch,
            position=event.position,
            lease_id=event.lease_id,
            worker_id=event.worker_id,
        )
        return Offer(
            token=seal(ticket, self._secret),
            job_id=event.key.job_id,
            position=event.position,
            purpose=event.purpose,
            expires_at=event.expires_at,
        )

    def _ticket(self, token: str) -> Ticket | None:
        try:
            return unseal(token, self._secret)
        except LeaseInvalid:
            return None

    def _entry(self, worker: WorkerProfile, submission: Submission) -> Entry | None:
        ticket = self._ticket(submission.token)
        if ticket is None:
            return None
        return Entry(
            worker_id=worker.worker_id,
            ticket=ticket,
            label=submission.label,
            duration_s=submission.duration_s,
        )


def _verdicts(events: Sequence[Event]) -> list[Verdict]:
    return [event for event in events if isinstance(event, Taken | Replayed | Refused)]


def _outcome(token: str, verdict: Verdict) -> Outcome:
    error: MusterError | None = verdict.error if isinstance(verdict, Refused) else None
    return Outcome(token=token, error=error, replayed=isinstance(verdict, Replayed))


def _expired(entry: Entry) -> LeaseExpired:
    return LeaseExpired(entry.ticket.job_id, entry.ticket.position)
