"""How fast a Dawid-Skene iteration is, beside crowd-kit's on the same answers in the same run.

The time of an iteration is that of four less that of one, over three, so that neither side pays for
reading its table; of crowd-kit that of two less that of one where answers are many, as it takes the
better part of a minute for each. Ours, which is over before the machine's load has evened out, is
the median of five such differences. Peak memory is what the process asked for beyond its input,
sorting included.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import numpy.typing as npt
import pandas as pd
from crowdkit.aggregation import DawidSkene

from allocation.job import RayPasses
from allocation.quality import dawid_skene
from allocation.quality.online import OnlineTruth
from allocation.quality.passes import LocalPasses, Passes, Sheet, Tables
from allocation.quality.votes import Codes, Floats, Votes
from benchmarks.figures import Figure, at_least, at_most, informing

ANSWERS_AN_ITEM, ITEMS_A_WORKER = 5, 50
BEGUN, DONE, PEER_DONE_WHERE_MANY = 1, 4, 2
"""Iterations of the two runs that a time is the difference of."""

MANY_ANSWERS, ROUNDS = 5_000_000, 5

BATCH_ANSWERS = 10_000
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
    peer_done = DONE if answers < MANY_ANSWERS else PEER_DONE_WHERE_MANY
    ours_s, alone_s = (_ours_s(given.votes, each) for each in (threads, 1))
    tracemalloc.start()
    posterior = _fit(given.votes, peer_done, threads)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    table = pd.DataFrame(
        {"task": given.votes.items, "worker": given.votes.workers, "label": given.votes.labels}
    )
    labelled: list[pd.Series] = []
    peer_s = _iteration_s(
        lambda iterations: labelled.append(
            DawidSkene(n_iter=iterations, tol=NEVER).fit_predict(table)
        ),
        peer_done,
    )
    same = posterior.argmax(axis=1) == labelled[0].sort_index().to_numpy()
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
    yield at_least(size, answers / online_s / 1e6, "M events/s", 2.0 if labels == 2 else 0.0)
    yield informing(f"{size}: accuracy below the fit of all", 100 * before, "points")
    yield at_most(f"{size}: the same after one sweep", 100 * abs(gap), "points", 0.02)


def spread_figures(answers: int, labels: int, *, sheets: int) -> Iterator[Figure]:
    """Yield the speed over Ray tasks, each with a part of the answers."""
    parts = (simulated(answers // sheets, labels, seed=seed) for seed in range(sheets))
    passes = RayPasses(Sheet.of(part.votes) for part in parts)
    seconds = _iteration_s(lambda iterations: _iterate(passes, iterations, 1), DONE)
    yield informing(
        f"Ray tasks, {answers / 1e6:g}M answers in {sheets} sheets, K={labels}",
        answers / seconds / 1e6,
        "M answers/s/iteration",
    )


def _ours_s(votes: Votes, threads: int) -> float:
    passes = _passes(votes, threads)
    _iterate(passes, BEGUN, threads)
    return median(
        _iteration_s(lambda iterations: _iterate(passes, iterations, threads), DONE)
        for _ in range(ROUNDS)
    )


def _iteration_s(run: Callable[[int], object], done: int) -> float:
    def seconds(iterations: int) -> float:
        begun = perf_counter()
        run(iterations)
        return perf_counter() - begun

    return (seconds(done) - seconds(BEGUN)) / (done - BEGUN)


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
