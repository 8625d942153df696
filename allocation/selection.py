"""Which questions of a partition to ask a worker next: pure functions of the partition's state."""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import compress, islice
from math import inf
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from allocation.belief import Belief
from allocation.policy import Floats, dearness, information_gain, question_value
from allocation.ports import Demand, PartitionReport
from allocation.purse import ALIKE
from allocation.shortlist import TIE, keyed_unit, largest
from allocation.state import PartitionState
from allocation.tables import Bools, Ints
from cluster.domain.work import Purpose, WorkerProfile

_NOTHING: Ints = np.empty(0, dtype=np.int32)

_HAND_MIN = 32
"""So many candidates each of many workers weighs at least, where there are as many."""


class Pick(NamedTuple):
    """A question chosen for a worker; `position` is local."""

    position: int
    purpose: Purpose


class Seeker(NamedTuple):
    """A worker among others who want up to `room` questions; `number` is the caller's."""

    number: int
    worker: WorkerProfile
    room: int


def pick(
    partition: PartitionState,
    worker: WorkerProfile,
    count: int,
    eligible: npt.NDArray[np.int64] | None,
) -> list[Pick]:
    """Return up to `count` questions for a worker, the best first; changes nothing.

    Audits go first but share the stream: while both kinds are wanted they take turns, counted
    over all workers of the partition, so that audits end early and no claim is all audit. A
    worker is never asked twice about one item, for whichever purpose. Where the job has reviewers
    they audit and do nothing else, and nobody else audits. `eligible` gives the only absolute
    positions that may be asked. A worker who is yet to be proven gets a gold question in the place
    of one of the labels.
    """
    belief = partition.belief
    room = min(count, affordable(partition, worker.price), partition.turns_left(worker.worker_id))
    if belief is None or room <= 0 or not _may_work(partition, belief, worker):
        return []
    pool = None if eligible is None else _local(partition, eligible)
    reviewers = partition.terms.audit_skills
    reviews = reviewers <= worker.skills
    audits = _audit_picks(partition, worker, room, pool) if reviews else _NOTHING
    # Audits that are behind may fill a small claim; then labels need not be weighed at all.
    behind = partition.grants["label"] + 1 - partition.grants["audit"]
    if reviews and (reviewers or len(audits) == room <= behind):
        return [Pick(position, "audit") for position in audits.tolist()]
    labels = _label_picks(partition, belief, worker, room, pool, audits)
    labels = with_gold(partition, belief, worker, labels[:room], pool)
    return _interleaved(partition, audits.tolist(), labels.tolist(), room)


def pick_together(partition: PartitionState, seekers: Sequence[Seeker]) -> list[tuple[int, Pick]]:
    """Return label questions for many workers at once, with each seeker's number; changes nothing.

    The candidates are dealt out like cards, so that no two workers want the same item and all can
    be weighed in one pass; the more workers, the fewer candidates each of them weighs. Where that
    would not do, because audits are wanted, workers are few or items are, those workers get
    nothing here and are to `pick` alone.
    """
    belief, room = partition.belief, answers_left(partition)
    if belief is None or room <= 0 or not _asks_labels(belief) or _audits_open(partition):
        return []
    rested = [
        found._replace(room=min(found.room, partition.turns_left(found.worker.worker_id)))
        for found in seekers
        if _may_label(partition, belief, found.worker) and not unproven(belief, found.worker)
    ]
    served = [found for found in rested if found.room > 0]
    if len(served) < 2:
        return []
    hands = _dealt(partition, belief, served)
    if hands is None:
        return []
    picks = _best_of(partition, belief, served, hands)[:room]
    price = {found.number: found.worker.price for found in served}
    paid = payable(partition, np.array([price[number] for number, _ in picks]))
    return [found for found, kept in zip(picks, paid.tolist(), strict=True) if kept]


def answers_left(partition: PartitionState) -> int:
    """Return how many more leases may go out under the present snapshot's budget."""
    belief = partition.belief
    if belief is None:
        return 0
    return max(0, partition.answers_end - len(partition.answers) - len(partition.leases))


def affordable(partition: PartitionState, price: float) -> int:
    """Return how many more leases may go out at a price under the present snapshot's budget."""
    left, money = answers_left(partition), _money_left(partition)
    return left if price <= 0.0 or money == inf else min(left, int(money // price))


def payable(
    partition: PartitionState, prices: npt.NDArray[np.float64], spent: float = 0.0
) -> Bools:
    """Return which of some leases the budget pays for, in their order, once `spent` is gone."""
    money = _money_left(partition) - spent
    if money == inf or prices.sum() <= money:
        return np.ones(len(prices), dtype=np.bool_)
    kept = np.zeros(len(prices), dtype=np.bool_)
    for row, price in enumerate(prices.tolist()):
        kept[row] = price <= money
        money -= price if price <= money else 0.0
    return kept


def _money_left(partition: PartitionState) -> float:
    """Return what leases may cost still; a hair more, for what sums of prices lose."""
    return partition.cost_end + ALIKE * abs(partition.cost_end) - partition.cost


def report(partition: PartitionState) -> PartitionReport:
    """Return how a partition stands; looks at every item."""
    belief, (labels, audits) = partition.belief, _unasked(partition)
    return PartitionReport(
        job_id=partition.key.job_id,
        partition=partition.key.number,
        round=-1 if belief is None else belief.snapshot.round,
        answers=len(partition.answers),
        leased=len(partition.leases),
        wanted=min(labels + audits, _asked_at_most(partition)),
        open=labels + audits,
        audits=audits,
        cost=partition.cost,
        expected_error=1.0 if belief is None else belief.mean_error,
    )


def demand(partition: PartitionState) -> Demand:
    """Return what a partition would still ask, and of whom; looks at every item."""
    left = _asked_at_most(partition)
    labels, audits = _unasked(partition) if left > 0 else (0, 0)
    audits = min(left, audits)
    return Demand(
        job_id=partition.key.job_id,
        partition=partition.key.number,
        labels=min(left - audits, labels),
        audits=audits,
        required_skills=partition.terms.required_skills,
        audit_skills=partition.terms.audit_skills,
    )


def _asked_at_most(partition: PartitionState) -> int:
    """Return how many questions the budget is likely to buy."""
    belief = partition.belief
    return 0 if belief is None else affordable(partition, belief.snapshot.price_likely)


def _unasked(partition: PartitionState) -> tuple[int, int]:
    """Return how many labels and how many audits would still be asked if money had no end."""
    belief = partition.belief
    if belief is None:
        return 0, 0
    checks_max = partition.terms.audit_answers_max
    checked = _audits_asked(partition, partition.audit_items)
    audits = int((checks_max - np.minimum(checked, checks_max)).sum())
    asks = _asks_labels(belief)
    labels = int(partition.open_labels(belief, slice(None)).sum()) if asks else 0
    return labels, audits


def _audits_asked(partition: PartitionState, items: Ints) -> npt.NDArray[np.int64]:
    answers, leases = partition.answer_counts["audit"], partition.lease_counts["audit"]
    return answers[items].astype(np.int64) + leases[items]


def _asks_labels(belief: Belief) -> bool:
    return belief.mean_error > belief.snapshot.goal_error


def _audit_picks(
    partition: PartitionState, worker: WorkerProfile, count: int, pool: Ints | None
) -> Ints:
    """Return audit items for a worker: those begun first, so that some are soon complete."""
    items = partition.audit_items
    if pool is not None:
        items = items[np.isin(items, pool)]
    items = items[_audits_asked(partition, items) < partition.terms.audit_answers_max]
    items = partition.history(worker.worker_id).without(items)
    begun = _audits_asked(partition, items).astype(np.float32)
    return items[largest(begun, keyed_unit(items, _tie_key(partition, worker)), count)]


def _label_picks(
    partition: PartitionState,
    belief: Belief,
    worker: WorkerProfile,
    count: int,
    pool: Ints | None,
    audits: Ints,
) -> Ints:
    """Return the items on which the worker's answer is worth most."""
    if not _asks_labels(belief):
        return _NOTHING
    if pool is None:
        found = _candidates(partition, belief, worker, count, audits)
    else:
        found = _open_to(partition, belief, worker, pool, audits)
    said = belief.log_confusion(worker.worker_id)
    found = found[_worthwhile(belief, belief.log_posterior[found], said, worker.price)]
    value = question_value(belief.log_posterior[found], said, worker.price)
    # A second question in parallel may turn out superfluous: it is worth half.
    value /= np.float32(1.0) + partition.lease_counts["label"][found].astype(np.float32)
    return found[largest(value, keyed_unit(found, _tie_key(partition, worker)), count)]


def unproven(belief: Belief, worker: WorkerProfile) -> bool:
    """Return whether a worker has yet to be tested by gold questions."""
    snapshot = belief.snapshot
    return len(snapshot.gold) > 0 and worker.worker_id not in snapshot.proven_workers


def with_gold(
    partition: PartitionState,
    belief: Belief,
    worker: WorkerProfile,
    labels: Ints,
    pool: Ints | None = None,
    asked: Sequence[int] = (),
) -> Ints:
    """Return the labels with one of them, no telling which, given up for a gold question.

    Gold that others are `asked` at the same time counts as given already.
    """
    if len(labels) == 0 or not unproven(belief, worker):
        return labels
    gold = belief.snapshot.gold.astype(np.int32)
    if pool is not None:
        gold = gold[np.isin(gold, pool)]
    gold = partition.history(worker.worker_id).without(gold)
    given = partition.answer_counts["label"][gold].astype(np.int64)
    given += partition.lease_counts["label"][gold]
    given += (np.array(asked, dtype=np.int32)[:, None] == gold).sum(axis=0)
    most = belief.snapshot.label_answers_max + belief.snapshot.gold_exposures_max
    gold = gold[(given < most) & ~np.isin(gold, labels)]
    if len(gold) == 0:
        return labels
    key = _tie_key(partition, worker)
    test = gold[keyed_unit(gold, key).argmax()]
    return np.where(np.arange(len(labels)) == key % len(labels), test, labels).astype(np.int32)


def _worthwhile(
    belief: Belief, log_posterior: Floats, log_confusion: Floats, price: float | Floats
) -> Bools:
    """Return on which items an answer tells enough for its price, beside the pooled worker's."""
    known = belief.snapshot
    if known.worth_ratio_min <= 0.0:
        return np.ones(log_posterior.shape[:-1], dtype=np.bool_)
    ratio = np.float32(known.worth_ratio_min) * dearness(price, known.price_mean)
    pooled = information_gain(log_posterior, known.pooled_log_confusion)
    worth: Bools = information_gain(log_posterior, log_confusion) >= ratio * pooled
    return worth


def _candidates(
    partition: PartitionState, belief: Belief, worker: WorkerProfile, count: int, audits: Ints
) -> Ints:
    """Return the most uncertain items open to a worker, `count` at least if there are so many."""
    shortlist, found, enough = partition.shortlist, [], 0
    for block in shortlist.blocks():
        found.append(_open_to(partition, belief, worker, block, audits))
        enough += len(found[-1])
        if enough >= max(count, shortlist.window):
            break
    if enough >= count or shortlist.complete:
        return np.concatenate(found) if found else _NOTHING
    everything = np.arange(partition.partition.items, dtype=np.int32)
    rest = _open_to(partition, belief, worker, everything, audits)
    ties = keyed_unit(rest, partition.terms.seed)
    return rest[largest(belief.error[rest], ties, max(count, shortlist.window))]


def _open_to(
    partition: PartitionState, belief: Belief, worker: WorkerProfile, found: Ints, audits: Ints
) -> Ints:
    found = found[partition.open_labels(belief, found)]
    found = partition.history(worker.worker_id).without(found)
    return found[~np.isin(found, audits)] if len(audits) else found


def _may_work(partition: PartitionState, belief: Belief, worker: WorkerProfile) -> bool:
    paused = worker.worker_id in belief.snapshot.paused_workers
    return not paused and partition.terms.required_skills <= worker.skills


def _may_label(partition: PartitionState, belief: Belief, worker: WorkerProfile) -> bool:
    """Return whether a worker may be asked for labels: all but the reviewers of the job."""
    reviewers = partition.terms.audit_skills
    is_reviewer = bool(reviewers) and reviewers <= worker.skills
    return not is_reviewer and _may_work(partition, belief, worker)


def _audits_open(partition: PartitionState) -> bool:
    """Return whether labels would have to take turns with audits."""
    if partition.terms.audit_skills:
        return False
    asked = _audits_asked(partition, partition.audit_items)
    return bool((asked < partition.terms.audit_answers_max).any())


def _dealt(partition: PartitionState, belief: Belief, seekers: Sequence[Seeker]) -> Ints | None:
    """Return (seekers, n) different open items, most uncertain first; None where there are few."""
    shortlist, workers = partition.shortlist, len(seekers)
    most = max(found.room for found in seekers)
    each = max(shortlist.window // workers, _HAND_MIN, 2 * most)
    found: list[Ints] = []
    enough = 0
    for block in shortlist.blocks():
        found.append(block[partition.open_labels(belief, block)])
        enough += len(found[-1])
        if enough >= each * workers:
            break
    each = min(each, enough // workers)
    if each < 2 * most:
        return None
    return np.concatenate(found)[: each * workers].reshape(each, workers).T


def _best_of(
    partition: PartitionState, belief: Belief, seekers: Sequence[Seeker], hands: Ints
) -> list[tuple[int, Pick]]:
    """Return the questions worth most of each seeker's hand."""
    workers = [found.worker for found in seekers]
    log_posterior = belief.log_posterior[hands]
    said = belief.log_confusions([worker.worker_id for worker in workers])
    price = np.array([[worker.price] for worker in workers], dtype=np.float32)
    value = question_value(log_posterior, said, price)
    value /= np.float32(1.0) + partition.lease_counts["label"][hands].astype(np.float32)
    value += keyed_unit(hands, partition.terms.seed) * (TIE * value.max(axis=1, keepdims=True))
    worth = _worthwhile(belief, log_posterior, said, price)
    order = np.argsort(-value, axis=1)
    best, worth = np.take_along_axis(hands, order, 1), np.take_along_axis(worth, order, 1)
    picks: list[tuple[int, Pick]] = []
    for seeker, positions, good in zip(seekers, best.tolist(), worth.tolist(), strict=True):
        history = partition.history(seeker.worker.worker_id)
        open_to = (at for at in compress(positions, good) if at not in history)
        picks += [(seeker.number, Pick(at, "label")) for at in islice(open_to, seeker.room)]
    return picks


def _interleaved(
    partition: PartitionState, audits: list[int], labels: list[int], count: int
) -> list[Pick]:
    audited, labelled = partition.grants["audit"], partition.grants["label"]
    picks: list[Pick] = []
    audits.reverse()
    labels.reverse()
    while len(picks) < count and (audits or labels):
        if audits and (audited <= labelled or not labels):
            picks.append(Pick(audits.pop(), "audit"))
            audited += 1
        else:
            picks.append(Pick(labels.pop(), "label"))
            labelled += 1
    return picks


def _local(partition: PartitionState, positions: npt.NDArray[np.int64]) -> Ints:
    local = np.unique(positions) - partition.partition.first_position
    return local[(local >= 0) & (local < partition.partition.items)].astype(np.int32)


def _tie_key(partition: PartitionState, worker: WorkerProfile) -> int:
    """Return a key of its own for each worker, so that they do not all want the same items."""
    digest = blake2b(worker.worker_id.encode(), digest_size=8).digest()
    return partition.terms.seed ^ int.from_bytes(digest, "big")
