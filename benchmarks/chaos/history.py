"""Whether what a job's people lived through is a history that Muster may have: the checker.

Pure: it is given everything that was promised to clients and workers, and everything that was
stored and delivered in the end. Its parts are named after the invariants they check. Each part
walks once through what it checks, sorted where order matters.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Invariant = Literal["I1", "I2", "I3", "I4", "I5", "I6", "I7"]

Slot = tuple[int, str]
"""An item, by position, and a worker."""

ACKNOWLEDGED = frozenset({"accepted", "replayed"})
NOT_FOUND = 404
COMPLETED = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A lease given to a worker, by a claim asked and answered at these times (monotonic)."""

    worker_id: str
    partition: int
    epoch: int
    position: int
    lease_id: int
    asked_at: float
    given_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a worker was told of an answer, by a request sent and answered at these times.

    `sent_at` is when the try began that brought the verdict. `lost` tells that the answer was sent
    at least once without a definite reply, so that it may be stored whatever the verdict.
    """

    worker_id: str
    partition: int
    epoch: int
    position: int
    label: str
    verdict: str
    lost: bool
    sent_at: float
    told_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An answer as the log has it."""

    position: int
    worker_id: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A label as a client was told it; of two for one item the higher revision counts."""

    item_id: str
    label: str
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All that is known of one job that has ended.

    `counted` are the answers by the job's own progress. `exports` has for each format what every
    download of it hashed to. `strangers` are the statuses of all that another tenant asked for.
    `quiet_s` passed between the end of the last fault and the end of the job.
    """

    job_id: str
    accepted: Sequence[str]
    exported: Sequence[Delivered]
    delivered: Sequence[Delivered]
    offered: Sequence[Offered]
    answered: Sequence[Answered]
    stored: Sequence[Stored]
    counted: int
    exports: Mapping[str, Sequence[str]]
    strangers: Sequence[int]
    state: str
    quiet_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A broken invariant: how often, and the first case of it."""

    invariant: Invariant
    what: str
    count: int
    example: str


def violations(history: History, lease_ttl_s: float, quiet_s_max: float) -> tuple[Violation, ...]:
    """Return what is wrong with a history, in the order of the invariants; nothing is empty."""
    found: tuple[tuple[Invariant, str, Iterator[str]], ...] = (
        ("I1", "items lost", _lost_items(history)),
        ("I1", "items doubled", _doubled_items(history)),
        ("I1", "items nobody submitted", _strange_items(history)),
        ("I1", "revisions told twice", _doubled_revisions(history)),
        ("I1", "labels other than the newest told", _outdated_labels(history)),
        ("I2", "acknowledged answers lost", _lost_answers(history)),
        ("I2", "answers doubled", _doubled_answers(history)),
        ("I2", "answers stored otherwise than given", _changed_answers(history)),
        ("I2", "refused answers stored", _smuggled_answers(history)),
        ("I2", "answers stored and not counted, or the reverse", _miscounted(history)),
        ("I3", "two live leases of one item and worker", _double_leases(history, lease_ttl_s)),
        ("I4", "answers accepted from an epoch that was over", _stale_answers(history)),
        ("I5", "exports that changed", _changed_exports(history)),
        ("I6", "replies to another tenant", _leaks(history)),
        ("I7", "jobs not ended in time", _unended(history, quiet_s_max)),
    )
    return tuple(
        Violation(invariant=invariant, what=what, count=len(cases), example=cases[0])
        for invariant, what, each in found
        if (cases := list(each))
    )


def _lost_items(history: History) -> Iterator[str]:
    exported = {row.item_id for row in history.exported}
    yield from (item for item in history.accepted if item not in exported)


def _doubled_items(history: History) -> Iterator[str]:
    counts = Counter(row.item_id for row in history.exported)
    yield from (item for item, count in counts.items() for _ in range(count - 1))


def _strange_items(history: History) -> Iterator[str]:
    accepted = set(history.accepted)
    rows = (*history.exported, *history.delivered)
    yield from (row.item_id for row in rows if row.item_id not in accepted)


def _doubled_revisions(history: History) -> Iterator[str]:
    counts = Counter((row.item_id, row.revision) for row in history.delivered)
    yield from (
        f"{item} revision {revision}"
        for (item, revision), count in counts.items()
        for _ in range(count - 1)
    )


def _outdated_labels(history: History) -> Iterator[str]:
    newest: dict[str, Delivered] = {}
    for row in history.delivered:
        known = newest.get(row.item_id)
        newest[row.item_id] = row if known is None or row.revision > known.revision else known
    for row in history.exported:
        told = newest.get(row.item_id)
        if told is None or told.label != row.label:
            yield row.item_id


def _lost_answers(history: History) -> Iterator[str]:
    stored = {(each.position, each.worker_id) for each in history.stored}
    yield from (_named(*slot) for slot, _ in _acknowledged(history) if slot not in stored)


def _doubled_answers(history: History) -> Iterator[str]:
    counts = Counter((each.position, each.worker_id) for each in history.stored)
    yield from (_named(*slot) for slot, count in counts.items() for _ in range(count - 1))


def _changed_answers(history: History) -> Iterator[str]:
    stored = {(each.position, each.worker_id): each.label for each in history.stored}
    for slot, label in _acknowledged(history):
        if stored.get(slot, label) != label:
            yield _named(*slot)


def _smuggled_answers(history: History) -> Iterator[str]:
    """Tell of stored answers that nobody may believe stored: each try of them was refused."""
    doubtful = {_key(each) for each in history.answered if each.lost}
    good = {slot for slot, _ in _acknowledged(history)}
    refused = {_key(each) for each in history.answered} - good - doubtful
    for each in history.stored:
        if (each.position, each.worker_id) in refused:
            yield _named(each.position, each.worker_id)


def _miscounted(history: History) -> Iterator[str]:
    difference = abs(len(history.stored) - history.counted)
    yield from (f"{len(history.stored)} stored, {history.counted} counted",) * difference


def _double_leases(history: History, lease_ttl_s: float) -> Iterator[str]:
    """Tell of leases of one epoch that were given while the one before was surely out.

    A lease is out from when it was given until it was answered, or its time was over; the claim
    of the next one was answered at some time between asking and giving.
    """
    settled: dict[tuple[int, str, int], float] = {}
    for answer in history.answered:
        lease = (answer.position, answer.worker_id, answer.epoch)
        settled[lease] = min(settled.get(lease, answer.sent_at), answer.sent_at)
    leases: dict[tuple[int, str, int], list[Offered]] = defaultdict(list)
    for offer in sorted(history.offered, key=lambda offer: offer.asked_at):
        leases[offer.position, offer.worker_id, offer.epoch].append(offer)
    for lease, offers in leases.items():
        for first, second in pairwise(offers):
            until = min(first.asked_at + lease_ttl_s, settled.get(lease, float("inf")))
            if first.lease_id != second.lease_id and second.given_at < until:
                yield _named(first.position, first.worker_id)


def _stale_answers(history: History) -> Iterator[str]:
    """Tell of answers accepted although, before they were sent, a newer epoch had been seen."""
    seen = sorted(history.offered, key=lambda offer: offer.given_at)
    newest: dict[int, int] = {}
    at = 0
    accepted = (each for each in history.answered if each.verdict == "accepted")
    for answer in sorted(accepted, key=lambda answer: answer.sent_at):
        while at < len(seen) and seen[at].given_at < answer.sent_at:
            offer = seen[at]
            newest[offer.partition] = max(newest.get(offer.partition, 0), offer.epoch)
            at += 1
        if answer.epoch < newest.get(answer.partition, 0):
            yield _named(*_key(answer))


def _changed_exports(history: History) -> Iterator[str]:
    yield from (name for name, hashes in history.exports.items() if len(set(hashes)) > 1)


def _leaks(history: History) -> Iterator[str]:
    yield from (f"status {status}" for status in history.strangers if status != NOT_FOUND)


def _unended(history: History, quiet_s_max: float) -> Iterator[str]:
    if history.state != COMPLETED:
        yield f"{history.job_id} is {history.state}"
    elif history.quiet_s > quiet_s_max:
        yield f"{history.job_id} took {history.quiet_s:.0f} s without a fault"


def _acknowledged(history: History) -> Iterator[tuple[Slot, str]]:
    """Return what was acknowledged, each once: an item and a worker, and the label."""
    good = (each for each in history.answered if each.verdict in ACKNOWLEDGED)
    yield from dict.fromkeys((_key(each), each.label) for each in good)


def _key(answer: Answered) -> Slot:
    return answer.position, answer.worker_id


def _named(position: int, worker_id: str) -> str:
    return f"item {position} by {worker_id}"
