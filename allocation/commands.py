"""What a shard is asked to do, and what it decided: the vocabulary of `allocation.allocator`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from allocation.leases import Ticket
from allocation.ports import EVERY_JOB, Batch, TruthSnapshot
from allocation.tables import Bools, Ids, Ints
from cluster.domain.ids import JobId, UnixSeconds, WorkerId
from cluster.domain.work import AnswerColumns, WorkerProfile
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


@dataclass(frozen=True, slots=True, eq=False)
class ClaimTogether:
    """Lease items to many workers in one look; whoever it cannot serve must claim alone."""

    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Assign:
    """Lease items to many workers at once, up to `counts` to each: push mode."""

    workers: tuple[WorkerProfile, ...]
    counts: tuple[int, ...]
    batch: Batch = EVERY_JOB


class Entry(NamedTuple):
    """One answer of a `Submit`, its token already opened."""

    worker_id: WorkerId
    ticket: Ticket
    label: str
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Take answers to one partition, of one worker or of many."""

    key: PartitionKey
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


@dataclass(frozen=True, slots=True)
class Hold:
    """Lease nothing more of a job until its next snapshot."""

    job_id: JobId


Command = Claim | ClaimTogether | Assign | Submit | Release | Extend | Expire | Publish | Hold


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Granted:
    """Workers hold leases on items of one partition from now on.

    `lease_ids`, `positions` (local), `audit` and `holders` are columns, a row for each lease;
    `holders` indexes `workers`, whose prices are `prices`. All leases end at the same time.
    """

    key: PartitionKey
    lease_ids: Ids
    positions: Ints
    audit: Bools
    holders: Ints
    workers: tuple[WorkerId, ...]
    prices: tuple[float, ...]
    expires_at: UnixSeconds
    ends_by: UnixSeconds


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Taken:
    """Answers that are good; they count once they are stored.

    Row i of `answers` is the answer of entry `indices[i]` to lease `lease_ids[i]`. The entries
    `doubles` are of one of these workers to the same item; what is decided of them holds only once
    this is stored.
    """

    key: PartitionKey
    indices: Ints
    doubles: tuple[int, ...]
    lease_ids: Ids
    answers: AnswerColumns


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Settling:
    """The answers to these leases are on their way to the log: the leases stay out meanwhile."""

    key: PartitionKey
    lease_ids: Ids


@dataclass(frozen=True, slots=True)
class Replayed:
    """Entry `index` repeats an answer that was taken before."""

    index: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Entry `index` is not taken."""

    index: int
    error: MusterError


@dataclass(frozen=True, slots=True, eq=False)
class Dropped:
    """Leases are over without an answer."""

    key: PartitionKey
    lease_ids: Ids


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


@dataclass(frozen=True, slots=True)
class Held:
    """A partition leases nothing more until its next snapshot."""

    key: PartitionKey


Event = Granted | Taken | Settling | Replayed | Refused | Dropped | Extended | Learned | Held
