"""The crowd's one door to many shards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

import numpy as np

from allocation.leases import unseal
from allocation.ports import (
    EVERY_JOB,
    Batch,
    Demand,
    Extension,
    Offer,
    Outcome,
    Shard,
    Submission,
)
from cluster.domain.ids import WorkerId
from cluster.domain.work import WorkerProfile
from cluster.errors import LeaseInvalid, MusterError, ShardUnavailable, Unavailable

_CLAIMS_PER_LOOK = 32

Reply = TypeVar("Reply")


@dataclass(slots=True)
class _View:
    """A shard as it was when last looked at, and what this router has got from it since.

    `exhausted` are workers to whom it could not give all they asked for.
    """

    demands: tuple[Demand, ...] = ()
    claims_until_look: int = 0
    given: int = 0
    exhausted: set[WorkerId] = field(default_factory=set)
    _wanted: dict[frozenset[str], int] = field(default_factory=dict)

    def open_to(self, worker: WorkerProfile) -> int:
        """Return how many questions there may still be for a worker."""
        if worker.worker_id in self.exhausted:
            return 0
        if worker.skills not in self._wanted:
            wanted = sum(found.open_to(worker) for found in self.demands)
            self._wanted[worker.skills] = wanted
        return max(0, self._wanted[worker.skills] - self.given)


class ShardRouter:
    """A `Crowd` over shards, each at the index that is its id; safe to use from many threads.

    A claim goes to that of two shards drawn at random (power of two choices, Mitzenmacher 2001)
    which has more questions open to this worker (`Demand.open_to`), by what each had to ask when it
    was last looked at, and falls over to the others until it is filled or none has anything; shards
    known to have nothing for the worker come last. Everything else goes where its token says. A
    shard that cannot be reached costs its own leases and answers, nobody else's.
    """

    def __init__(self, shards: Sequence[Shard], rng: np.random.Generator, secret: bytes) -> None:
        self._shards, self._rng, self._secret = tuple(shards), rng, secret
        self._lock = Lock()
        self._views = [_View() for _ in shards]

    def claim(self, worker: WorkerProfile, count: int) -> tuple[Offer, ...]:
        """Lease up to `count` items; raises ShardUnavailable where no shard can be reached."""
        offers: list[Offer] = []
        reached = False
        for shard_id in self._order([worker]):
            wanted = count - len(offers)
            if wanted <= 0:
                break
            found = self._try(shard_id, _claim(worker, wanted))
            if found is not None:
                reached = True
                offers += found
                self._note_claim(shard_id, worker, wanted, len(found))
        if not reached and count > 0:
            raise ShardUnavailable(0)
        return tuple(offers)

    def assign(
        self, workers: Sequence[WorkerProfile], counts: Sequence[int], batch: Batch = EVERY_JOB
    ) -> tuple[tuple[Offer, ...], ...]:
        """Lease items to many workers at once, shard after shard, until all have their count.

        A worker who comes twice is served once. Raises ShardUnavailable where no shard can be
        reached.
        """
        offers: list[tuple[Offer, ...]] = [() for _ in workers]
        reached = False
        for shard_id in self._order(workers):
            wanted = [count - len(found) for count, found in zip(counts, offers, strict=True)]
            if not any(wanted):
                break
            found = self._try(shard_id, _assign(workers, wanted, batch))
            if found is not None:
                reached = True
                offers = [had + new for had, new in zip(offers, found, strict=True)]
                for worker, asked, given in zip(workers, wanted, found, strict=True):
                    # Who was asked of one job alone may find more of the others there.
                    most = asked if batch.job_id is None else len(given)
                    self._note_claim(shard_id, worker, most, len(given))
        if not reached and any(counts):
            raise ShardUnavailable(0)
        return tuple(offers)

    def held(self, worker: WorkerProfile, count: int) -> tuple[Offer, ...]:
        """Return up to `count` leases that a worker holds; none of a shard out of reach."""
        offers: list[Offer] = []
        for shard_id in range(len(self._shards)):
            offers += self._try(shard_id, _held(worker, count - len(offers))) or ()
            if len(offers) >= count:
                break
        return tuple(offers)

    def answer(
        self, worker: WorkerProfile, submissions: Sequence[Submission]
    ) -> tuple[Outcome, ...]:
        """Take answers; those for a shard that cannot be reached come back as unavailable."""
        outcomes = [_refusal(submission, LeaseInvalid()) for submission in submissions]
        for shard_id, group in self._by_shard([found.token for found in submissions]):
            chosen = [submissions[index] for index in group]
            found = self._try(shard_id, _answer(worker, chosen))
            if found is None:
                found = tuple(_refusal(sent, ShardUnavailable(shard_id)) for sent in chosen)
            for index, outcome in zip(group, found, strict=True):
                outcomes[index] = outcome
        return tuple(outcomes)

    def release(self, worker: WorkerProfile, tokens: Sequence[str]) -> int:
        """Give leases back; those of a shard that cannot be reached run out by themselves."""
        released = 0
        for shard_id, group in self._by_shard(tokens):
            chosen = [tokens[index] for index in group]
            released += self._try(shard_id, _release(worker, chosen)) or 0
        return released

    def heartbeat(self, worker: WorkerProfile, tokens: Sequence[str]) -> tuple[Extension, ...]:
        """Extend leases that are still held; those of a shard that cannot be reached are not."""
        extensions = [Extension(token=token, expires_at=None) for token in tokens]
        for shard_id, group in self._by_shard(tokens):
            found = self._try(shard_id, _heartbeat(worker, [tokens[index] for index in group]))
            if found is not None:
                for index, extension in zip(group, found, strict=True):
                    extensions[index] = extension
        return tuple(extensions)

    def _order(self, workers: Sequence[WorkerProfile]) -> list[int]:
        """Return all shards in the order in which to ask them."""
        with self._lock:
            order: list[int] = self._rng.permutation(len(self._shards)).tolist()
            drawn = order[:2] if len(order) > 1 else []
            stale = [found for found in drawn if self._views[found].claims_until_look <= 0]
        for shard_id in stale:
            self._note(shard_id, self._try(shard_id, _demands) or ())
        with self._lock:
            for shard_id in drawn:
                self._views[shard_id].claims_until_look -= 1
            worth = [sum(map(view.open_to, workers)) for view in self._views]
        return by_worth(order, worth)

    def _by_shard(self, tokens: Sequence[str]) -> list[tuple[int, list[int]]]:
        """Return which tokens, by index, belong to which shard; none of ours to none."""
        groups: dict[int, list[int]] = {}
        for index, token in enumerate(tokens):
            try:
                shard_id = unseal(token, self._secret).shard_id
            except LeaseInvalid:
                continue
            if shard_id < len(self._shards):
                groups.setdefault(shard_id, []).append(index)
        return sorted(groups.items())

    def _try(self, shard_id: int, call: Callable[[Shard], Reply]) -> Reply | None:
        """Return a shard's reply; None where it cannot be reached."""
        try:
            return call(self._shards[shard_id])
        except Unavailable:
            self._note(shard_id, ())
            return None

    def _note_claim(self, shard_id: int, worker: WorkerProfile, wanted: int, found: int) -> None:
        with self._lock:
            self._views[shard_id].given += found
            if found < wanted:
                self._views[shard_id].exhausted.add(worker.worker_id)

    def _note(self, shard_id: int, demands: tuple[Demand, ...]) -> None:
        with self._lock:
            self._views[shard_id] = _View(demands, claims_until_look=_CLAIMS_PER_LOOK)


def by_worth(order: Sequence[int], worth: Sequence[int]) -> list[int]:
    """Return shards, drawn in `order`, in the order in which to ask them; `worth` is by shard.

    The worthier of the first two goes first: two choices keep loads as even as looking at all
    would, without every claim of a moment going to one shard. Those worth nothing go last.
    """
    drawn = sorted(order[:2], key=lambda shard_id: -worth[shard_id])
    return sorted([*drawn, *order[2:]], key=lambda shard_id: worth[shard_id] <= 0)


def _claim(worker: WorkerProfile, count: int) -> Callable[[Shard], tuple[Offer, ...]]:
    return lambda shard: shard.claim(worker, count)


def _assign(
    workers: Sequence[WorkerProfile], counts: Sequence[int], batch: Batch
) -> Callable[[Shard], tuple[tuple[Offer, ...], ...]]:
    return lambda shard: shard.assign(workers, counts, batch)


def _held(worker: WorkerProfile, count: int) -> Callable[[Shard], tuple[Offer, ...]]:
    return lambda shard: shard.held(worker, count)


def _answer(
    worker: WorkerProfile, submissions: Sequence[Submission]
) -> Callable[[Shard], tuple[Outcome, ...]]:
    return lambda shard: shard.answer(worker, submissions)


def _release(worker: WorkerProfile, tokens: Sequence[str]) -> Callable[[Shard], int]:
    return lambda shard: shard.release(worker, tokens)


def _heartbeat(
    worker: WorkerProfile, tokens: Sequence[str]
) -> Callable[[Shard], tuple[Extension, ...]]:
    return lambda shard: shard.heartbeat(worker, tokens)


def _demands(shard: Shard) -> tuple[Demand, ...]:
    return shard.demands()


def _refusal(submission: Submission, error: MusterError) -> Outcome:
    return Outcome(token=submission.token, error=error)
