"""`python -m benchmarks.replay`: recorded crowds asked adaptively, beside fixed redundancy.

Every crowd below `--data` (or MUSTER_DATA) is replayed by the shard, campaign and training step of
the service under one rule, `--seeds` times. *Savings*: the goal is out of reach, so the best next
question is bought until none is left, and the accuracy after each answer is compared with that of
so many answers to every item, drawn at random: by majority (ties shared) and by Dawid-Skene. Audits
count as answers. *Promises*: a job with 100 audited items stops where it expects to have reached
its goal; what it expects and certifies is compared with what it reached.
"""

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, geometric_mean

import numpy as np
from rich.console import Console
from rich.table import Table

from allocation.quality import dawid_skene
from allocation.quality.votes import Floats, Votes
from benchmarks.figures import Figure, at_least, at_most, informing, present
from cluster.domain.jobs import CrowdTerms
from serve_apps.backtest.recording import Recording
from serve_apps.backtest.run import backtest, prepare

CROWDS = (
    "truth/bluebird",
    "truth/d_possent",
    "truth/dog",
    "truth/snow_temp",
    "truth/sp_amt",
    "loop/sentiment_polarity",
)
DRAWS = 20
OUT_OF_REACH = 0.9999
ANSWERS_MAX = 3.5
"""Answers an item at which a replay with a model ends, for it takes minutes; others run dry."""

SAVING_TERMS = CrowdTerms(answers_per_item_max=40, audit_share=0.02, audit_items_min=0)
PROMISE_TERMS = CrowdTerms(answers_per_item_max=40, audit_items_min=100, audit_items_max=100)
PROMISE_GOAL_SHARE = 0.97
"""The goal of a promise, as a share of what five answers to every item reach by Dawid-Skene."""

Targets = Mapping[str, float]
"""The accuracy of fixed redundancy, by its name."""

REDUNDANCY: Mapping[str, tuple[int, str]] = {"MV5": (5, "mv"), "MV9": (9, "mv"), "DS5": (5, "ds")}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Replays:
    """One crowd: what fixed redundancy reaches, and how its replays went.

    `frontiers` holds for each seed (points, 2) answers an item and accuracy; `promises` (seeds, 3)
    what was expected, certified and reached.
    """

    name: str
    items: int
    targets: Targets
    frontiers: tuple[Floats, ...]
    promises: Floats

    def accuracy_at(self, answers: Floats) -> Floats:
        """Return the mean accuracy over the seeds after so many answers an item."""
        each = [np.interp(answers, found[:, 0], found[:, 1]) for found in self.frontiers]
        return np.asarray(np.mean(each, axis=0))

    def answers_for(self, target: float) -> float | None:
        """Return how many answers an item reach an accuracy, None where none do."""
        grid = np.linspace(0.0, max(found[-1, 0] for found in self.frontiers), 4_000)
        reached = np.flatnonzero(self.accuracy_at(grid) >= target)
        return float(grid[reached[0]]) if len(reached) else None


def replay(folder: Path, seeds: int) -> Replays:
    """Replay one crowd."""
    prepared = prepare(folder)
    recording = prepared.recording
    items = len(recording.item_ids)
    targets = {
        name: fixed_accuracy(recording, answers, method)
        for name, (answers, method) in REDUNDANCY.items()
        if np.quantile(np.bincount(recording.items, minlength=items), 0.1) >= 0.8 * answers
    }
    limit = None if prepared.learner is None else round(ANSWERS_MAX * items)
    frontiers, promises = [], []
    for seed in range(seeds):
        free = backtest(
            prepared,
            target_accuracy=OUT_OF_REACH,
            answers_max=limit,
            seed=seed,
            crowd=SAVING_TERMS,
        )
        frontiers.append(np.array([(p.answers_per_item, p.accuracy or 0.0) for p in free.frontier]))
        kept = backtest(
            prepared,
            target_accuracy=PROMISE_GOAL_SHARE * targets["DS5"],
            answers_max=limit,
            seed=seed,
            crowd=PROMISE_TERMS,
        )
        certified = kept.certificate.overall.accuracy_lower
        promises.append((kept.standing.expected_accuracy, certified, kept.accuracy or 0.0))
    return Replays(
        name=folder.name,
        items=items,
        targets=targets,
        frontiers=tuple(frontiers),
        promises=np.array(promises),
    )


def fixed_accuracy(recording: Recording, answers: int, method: str) -> float:
    """Return the mean accuracy of so many answers to every item, all there are of fewer."""
    return fmean(_drawn_accuracy(recording, answers, method, seed) for seed in range(DRAWS))


def _drawn_accuracy(recording: Recording, answers: int, method: str, seed: int) -> float:
    order = np.random.default_rng(seed).permutation(len(recording.items))
    by_item = order[np.argsort(recording.items[order], kind="stable")]
    counts = np.bincount(recording.items, minlength=len(recording.item_ids))
    rank = np.arange(len(by_item)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = by_item[rank < answers]
    votes = Votes.of(
        recording.items[kept],
        recording.workers[kept],
        recording.labels[kept],
        n_items=len(recording.item_ids),
        n_workers=len(recording.worker_ids),
        n_labels=len(recording.label_set),
    )
    if method == "ds":
        shares = dawid_skene.fit(votes, prior="diagonal").posterior
    else:
        shares = votes.counts()
    best = shares >= shares.max(axis=1, keepdims=True) - 1e-9
    credit = best / best.sum(axis=1, keepdims=True)
    known = np.flatnonzero(recording.truth >= 0)
    return float(credit[known, recording.truth[known]].mean())


def figures(found: Sequence[Replays]) -> Iterator[Figure]:
    """Yield the savings over all crowds, and how promises were kept."""
    goals = {"MV5": 2.3, "MV9": 3.2, "DS5": 2.0}
    for name, goal in goals.items():
        savings = []
        for each in found:
            if name in each.targets:
                answers = each.answers_for(each.targets[name])
                saving = REDUNDANCY[name][0] / answers if answers else 0.0
                yield informing(f"{each.name}: saving at {name}", saving, "x")
                savings.append(saving)
        mean = geometric_mean(savings) if all(savings) else 0.0
        yield at_least(f"saving at {name}, {len(savings)} crowds", mean, "x", goal)
    promises = np.concatenate([each.promises for each in found])
    for each in found:
        gap = float((each.promises[:, 0] - each.promises[:, 2]).mean())
        yield informing(f"{each.name}: promised above reached", 100.0 * gap, "points")
    off = float((promises[:, 0] - promises[:, 2]).mean())
    yield at_most("promised above reached, mean (absolute)", abs(100.0 * off), "points", 1.0)
    broken = float((promises[:, 2] < promises[:, 1]).mean())
    yield at_most("reached below the certificate", broken, "share of jobs", 0.05)


def table(found: Sequence[Replays]) -> Table:
    """Return what was reached after so many answers, a crowd a row."""
    drawn = Table(title="accuracy by answers an item", title_justify="left")
    drawn.add_column("crowd")
    grid = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0)
    for answers in grid:
        drawn.add_column(f"{answers:g}", justify="right")
    for name in REDUNDANCY:
        drawn.add_column(name, justify="right")
    for each in found:
        reached = each.accuracy_at(np.array(grid))
        fixed = [
            f"{each.targets[name]:.3f}" if name in each.targets else "–" for name in REDUNDANCY
        ]
        drawn.add_row(each.name, *(f"{share:.3f}" for share in reached), *fixed)
    return drawn


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    folder = os.environ.get("MUSTER_DATA")
    parser.add_argument("--data", type=Path, default=folder, required=folder is None)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--crowds", nargs="*", default=CROWDS)
    asked, console = parser.parse_args(), Console(width=160)
    folders = [asked.data / name for name in reversed(asked.crowds)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(replay, folders, [asked.seeds] * len(folders)))
    found.reverse()
    console.print(table(found))
    present("replay", list(figures(found)), console)


if __name__ == "__main__":
    main()
