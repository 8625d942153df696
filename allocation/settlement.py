"""Answers on their way to the log: decided on, perhaps stored, not yet applied or acknowledged.

A settlement goes through three hands. The shard decides, alone with its state; the write takes its
time while the shard serves others; the shard applies what is stored, alone again. Whatever
happens to the write, the third step must follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from allocation.commands import Entry, Event, Refused, Replayed, Taken
from allocation.ports import Outcome, Submission
from allocation.state import PartitionState
from cluster.domain.work import Partition, WorkerProfile
from cluster.errors import (
    AlreadyAnswered,
    LeaseExpired,
    LeaseInvalid,
    MusterError,
    StaleEpoch,
    Unavailable,
)
from cluster.ports import AnswerLog

WriteError = AlreadyAnswered | StaleEpoch | Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One worker's call of `answer`."""

    worker: WorkerProfile
    submissions: tuple[Submission, ...]


@dataclass(slots=True, eq=False, kw_only=True)
class Write:
    """The good answers to one partition; `places` says which outcome each entry decides.

    `fence` is the epoch they were decided in. `ended` tells that the log has answered, `log_end`
    the number of the last one where they are stored, `error` what it said where they are not.

    Once the shard has applied a stored write, its state has every answer to the partition that is
    numbered up to `log_end`, though the numbers between are not all its own: other shards store
    answers of the same job to other partitions. For numbers become visible in their order; nobody
    else has added to this partition since it was read when it was opened, or its epoch were not
    the newest still, as it was within the write; and the shard adds by one write at a time, and
    finds out what became of one that is unsure before it decides on another.
    """

    state: PartitionState
    fence: Partition
    taken: Taken
    entries: tuple[Entry, ...]
    places: list[int]
    ended: bool = False
    log_end: int = 0
    error: WriteError | None = None

    def store(self, log: AnswerLog) -> None:
        """Append the answers; raises what no log should."""
        try:
            self.log_end = log.append(self.fence, self.taken.answers)
        except (AlreadyAnswered, StaleEpoch, Unavailable) as error:
            self.error = error
        self.ended = True


class Settlement:
    """What became of many workers' answers, in one row, and the writes some still hang on.

    An answer of which nothing is noted came with no token of ours.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self._tokens = [found.token for request in requests for found in request.submissions]
        self._outcomes: list[Outcome | None] = [None] * len(self._tokens)
        self.writes: list[Write] = []

    def store(self, log: AnswerLog) -> None:
        """Append the answers of every write."""
        for write in self.writes:
            write.store(log)

    def note(self, events: Sequence[Event], places: Sequence[int]) -> None:
        """Note which entries repeat an answer or are refused, given where their outcomes are."""
        for event in events:
            if isinstance(event, Replayed):
                self._note(places[event.index], replayed=True)
            elif isinstance(event, Refused):
                self._note(places[event.index], event.error)

    def stored(self, write: Write) -> None:
        """Note that the answers of a write are stored."""
        for index in write.taken.indices.tolist():
            self._note(write.places[index])

    def failed(self, write: Write, error: MusterError) -> None:
        """Note why the answers of a write are not stored."""
        for index in (*write.taken.indices.tolist(), *write.taken.doubles):
            self._note(write.places[index], error)

    def void(self, write: Write) -> None:
        """Note that the leases of a write are another shard's by now."""
        for index in (*write.taken.indices.tolist(), *write.taken.doubles):
            ticket = write.entries[index].ticket
            self._note(write.places[index], LeaseExpired(ticket.job_id, ticket.position))

    def replies(self) -> tuple[tuple[Outcome, ...], ...]:
        """Return the outcomes of each request."""
        done = iter(
            Outcome(token=token, error=LeaseInvalid()) if found is None else found
            for token, found in zip(self._tokens, self._outcomes, strict=True)
        )
        return tuple(tuple(islice(done, len(request.submissions))) for request in self._requests)

    def _note(
        self, place: int, error: MusterError | None = None, *, replayed: bool = False
    ) -> None:
        self._outcomes[place] = Outcome(token=self._tokens[place], error=error, replayed=replayed)
