"""How fast a Dawid-Skene iteration is, beside crowd-kit's on the same answers in the same run.

An iteration is timed within one run, from where the one begins to where a later one does (of
crowd-kit, from end to end), so that neither side pays for reading its table: ours over twenty
iterations, crowd-kit's over three, or over one where answers are many and it takes the better part
of a minute. Peak memory is what the process asked for beyond its input, sorting included.
"""

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import numpy.typing as npt
import pandas as pd
from crowdkit.aggregation import DawidSkene

from allocation.job import RayPasses
from allocation.quality import dawid_skene
from allocation.quality.online import OnlineTruth
from allocation.quality.passes import Counted, LocalPasses, Passes, Sheet, Tables
from allocation.quality.votes import Codes, Floats, Votes
from benchmarks.figures import Figure, at_least, at_most, informing

ANSWERS_AN_ITEM, ITEMS_A_WORKER = 5, 50
TIMED, PEER_TIMED, PEER_TIMED_WHERE_MANY = 20, 3, 1
"""Iterations that a time is taken over; one more is run."""

MANY_ANSWERS = 5_000_000

BATCH_ANSWERS = 10_000
ONLINE_GOAL_LABELS, ONLINE_GOAL = 2, 2.0
NEVER = -np.inf


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Simulated:
    """Answers in random order, with the truth (items,) behind them."""

    votes: Votes
    truth: Codes

    def accuracy(self, posterior: npt.NDArray[np.floating]) -> float:
        """Return the share of items whose most probable label is right."""
        return float((posterior.argmax(axis=1) == self.truth).mean())


def simulated(answers: int, labels: int, seed: int) -> Simulated:
    """Return answers of workers who are right between 60 % and 98 % of the time."""
    rng = np.random.default_rng(seed)
    n_items = answers // ANSWERS_AN_ITEM
    n_workers = max(n_items // ITEMS_A_WORKER, 1)
    items = np.repeat(np.arange(n_items, dtype=np.int64), ANSWERS_AN_ITEM)
    rng.shuffle(items)
    workers = rng.integers(n_workers, size=len(items), dtype=np.int32)
    truth = rng.integers(labels, size=n_items)
    right = rng.random(len(items)) < rng.uniform(0.6, 0.98, n_workers)[workers]
    off = rng.integers(1, labels, size=len(items))
    said = np.where(right, truth[items], (truth[items] + off) % labels).astype(np.int16)
    votes = Votes(
        items=items,
        workers=workers,
        labels=said,
        n_items=n_items,
        n_workers=n_workers,
        n_labels=labels,
    )
    return Simulated(votes=votes, truth=truth)


def batch_figures(
    answers: int, labels: int, *, threads: int, ratio_min: float, bytes_max: float
) -> Iterator[Figure]:
    """Yield speed, its ratio to crowd-kit, equality of labels and memory at one size."""
    size = f"{answers / 1e6:g}M answers, K={labels}"
    given = simulated(answers, labels, seed=0)
    peer_timed = PEER_TIMED if answers < MANY_ANSWERS else PEER_TIMED_WHERE_MANY
    ours_s, alone_s = (_iteration_s(_passes(given.votes, each), each) for each in (threads, 1))
    tracemalloc.start()
    posterior = _fit(given.votes, peer_timed + 1, threads)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    peer_labels, peer_s = _peer(given.votes, peer_timed)
    same = posterior.argmax(axis=1) == peer_labels
    yield informing(f"{size}: {threads} threads", answers / ours_s / 1e6, "M answers/s/iteration")
    yield informing(f"{size}: 1 thread", answers / alone_s / 1e6, "M answers/s/iteration")
    yield informing(f"{size}: crowd-kit", answers / peer_s / 1e6, "M answers/s/iteration")
    yield at_least(f"{size}: ratio to crowd-kit", peer_s / ours_s, "x", ratio_min)
    yield informing(f"{size}: ratio with 1 thread", peer_s / alone_s, "x")
    yield at_least(f"{size}: labels equal crowd-kit's", float(same.mean()), "share", 0.9999)
    yield at_most(f"{size}: peak memory", peak_bytes / answers, "bytes/answer", bytes_max)


def online_figures(answers: int, labels: int) -> Iterator[Figure]:
    """Yield events a second on one core, and how far the labels are from the fit of all."""
    given = simulated(answers, labels, seed=1)
    votes = given.votes
    pseudo_counts = np.full((labels, labels), 1.0) + 3.0 * np.eye(labels)
    _stream(simulated(BATCH_ANSWERS, labels, seed=2).votes, pseudo_counts)
    begun = perf_counter()
    online = _stream(votes, pseudo_counts)
    online_s = perf_counter() - begun
    batch = dawid_skene.fit(votes, prior="diagonal").posterior
    swept = LocalPasses(Sheet.of(votes))
    swept.sweep(_tables(online))
    size = f"online, {answers / 1e6:g}M answers, K={labels}"
    gap = given.accuracy(batch) - given.accuracy(swept.posterior)
    before = given.accuracy(batch) - given.accuracy(online.posterior)
    rate = answers / online_s / 1e6
    if labels == ONLINE_GOAL_LABELS:
        yield at_least(size, rate, "M events/s", ONLINE_GOAL)
    else:
        yield informing(size, rate, "M events/s")
    yield informing(f"{size}: accuracy below the fit of all", 100 * before, "points")
    yield at_most(f"{size}: the same after one sweep", 100 * abs(gap), "points", 0.02)


def spread_figures(answers: int, labels: int, *, sheets: int) -> Iterator[Figure]:
    """Yield the speed over Ray tasks, each with a part of the answers."""
    parts = (simulated(answers // sheets, labels, seed=seed) for seed in range(sheets))
    passes = RayPasses(Sheet.of(part.votes) for part in parts)
    seconds = _iteration_s(passes, 1)
    yield informing(
        f"Ray tasks, {answers / 1e6:g}M answers in {sheets} sheets, K={labels}",
        answers / seconds / 1e6,
        "M answers/s/iteration",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Timed:
    """Passes that note when each sweep begins."""

    passes: Passes
    begun: list[float] = field(default_factory=list)

    @property
    def answers_per_cell(self) -> Floats:
        return self.passes.answers_per_cell

    def begin(self) -> Counted:
        return self.passes.begin()

    def sweep(self, tables: Tables) -> Counted:
        self.begun.append(perf_counter())
        return self.passes.sweep(tables)


def _iteration_s(passes: Passes, threads: int) -> float:
    _iterate(passes, 1, threads)
    timed = _Timed(passes)
    _iterate(timed, TIMED + 1, threads)
    return (timed.begun[-1] - timed.begun[0]) / TIMED


def _peer(votes: Votes, timed: int) -> tuple[Codes, float]:
    """Return crowd-kit's label of each item, (items,), and the time of an iteration."""
    ended: list[float] = []

    class Timed(DawidSkene):
        def _evidence_lower_bound(self, *counted: object) -> float:
            bound: float = super()._evidence_lower_bound(*counted)
            ended.append(perf_counter())
            return bound

    table = pd.DataFrame({"task": votes.items, "worker": votes.workers, "label": votes.labels})
    labels = Timed(n_iter=timed + 1, tol=NEVER).fit_predict(table)
    return labels.sort_index().to_numpy(), (ended[-1] - ended[0]) / timed


def _passes(votes: Votes, threads: int) -> LocalPasses:
    return LocalPasses(Sheet.of(votes), threads=threads, precision=np.float32)


def _fit(votes: Votes, iterations: int, threads: int) -> npt.NDArray[np.floating]:
    passes = _passes(votes, threads)
    _iterate(passes, iterations, threads)
    return passes.posterior


def _iterate(passes: Passes, iterations: int, threads: int) -> None:
    dawid_skene.iterate(passes, iterations_max=iterations, tolerance=NEVER, threads=threads)


def _stream(votes: Votes, pseudo_counts: Floats) -> OnlineTruth:
    truth = OnlineTruth(
        n_items=votes.n_items, n_workers=votes.n_workers, pseudo_counts=pseudo_counts
    )
    for first in range(0, len(votes), BATCH_ANSWERS):
        part = slice(first, first + BATCH_ANSWERS)
        truth.take(votes.items[part], votes.workers[part], votes.labels[part])
    return truth


def _tables(online: OnlineTruth) -> Tables:
    workers, k, _ = online.log_confusion().shape
    by_cell = online.log_confusion().transpose(0, 2, 1).reshape(workers * k, k)
    return Tables(
        odds=np.ascontiguousarray(by_cell[:, 1:] - by_cell[:, :1]),
        base=by_cell[:, 0].copy(),
        log_class_prior=np.log(online.class_prior()),
    )
