"""What a shard is asked to do, and what it decided: the vocabulary of `allocation.allocator`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from allocation.leases import Ticket
from allocation.ports import TruthSnapshot
from cluster.domain.ids import JobId, Position, UnixSeconds, WorkerId
from cluster.domain.work import Answer, Purpose, WorkerProfile
from cluster.errors import MusterError

Eligible = Mapping[JobId, npt.NDArray[np.int64]]
"""The only positions of each job that a worker may be offered; a job left out offers nothing."""


class PartitionKey(NamedTuple):
    """A partition's name on any shard."""

    job_id: JobId
    number: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Claim:
    """Lease up to `count` items to a worker; `eligible` narrows which (None: any)."""

    worker: WorkerProfile
    count: int
    eligible: Eligible | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """Lease items to many workers at once, up to `counts` to each: push mode."""

    workers: tuple[WorkerProfile, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One answer of a `Submit`, its token already opened."""

    worker_id: WorkerId
    ticket: Ticket
    label: str
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Take answers, of one worker or of many."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Give leases back unanswered."""

    worker_id: WorkerId
    tickets: tuple[Ticket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend:
    """Hold leases for another full term."""

    worker_id: WorkerId
    tickets: tuple[Ticket, ...]


@dataclass(frozen=True, slots=True)
class Expire:
    """Take back every lease that has run out."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Believe a newer snapshot."""

    snapshot: TruthSnapshot


Command = Claim | Assign | Submit | Release | Extend | Expire | Publish


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A worker holds a lease from now on."""

    key: PartitionKey
    lease_id: int
    position: Position
    worker_id: WorkerId
    purpose: Purpose
    price: float
    expires_at: UnixSeconds
    ends_by: UnixSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The answer to entry `index` is good; it counts once it is stored."""

    index: int
    key: PartitionKey
    lease_id: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Replayed:
    """Entry `index` repeats an answer that was taken before."""

    index: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Entry `index` is not taken."""

    index: int
    error: MusterError


@dataclass(frozen=True, slots=True)
class Dropped:
    """A lease is over without an answer."""

    key: PartitionKey
    lease_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """The lease of ticket `index` is held until `expires_at`."""

    index: int
    key: PartitionKey
    lease_id: int
    expires_at: UnixSeconds


@dataclass(frozen=True, slots=True)
class Learned:
    """A partition goes by this snapshot from now on."""

    snapshot: TruthSnapshot


Event = Granted | Taken | Replayed | Refused | Dropped | Extended | Learned
