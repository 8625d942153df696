"""`python -m benchmarks.learning`: whether the crowd has less to say the more it has said.

The sentences of `loop/sentiment_polarity` and their recorded crowd are replayed by the service's
own shard, campaign, training step and promotion gate, `--seeds` times. *Teaching*: a model learns
what one adaptive job ended with; beside it the same recipe learns from the majority of a fixed
number of answers an item, as many answers in all, and from the reference labels of the very items
the job taught. All are tested on sentences that nobody was ever asked about. *Sequence*: the
sentences are split at random into three jobs, which run one after another towards one goal: each
beginning with what the one before has left; each learning alone; and without a model, where the
service learns of its workers only. Audits count as answers. See docs/training.md.
"""

import argparse
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from allocation.quality.votes import Codes, Floats
from benchmarks.figures import Figure, at_least, at_most, informing, present
from benchmarks.learning_jobs import Life, lives
from cluster.domain.labels import LabelSet
from serve_apps.backtest.learner import Learner
from serve_apps.backtest.recording import Recording
from serve_apps.backtest.run import THREADS, Prepared, backtest, prepare
from serve_apps.prelabel.loading import ModelLoader
from training.step import fit

CROWD = "loop/sentiment_polarity"
GOAL = 0.88
"""About 0.97 of what Dawid-Skene reaches with five answers an item, as in `benchmarks.replay`."""

REDUNDANCIES = (1, 3, 5)
POINTS = 100.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Unseen:
    """Sentences nobody was asked about: features (n, D) and reference labels (n,)."""

    features: npt.NDArray[np.float32]
    truth: Codes

    @classmethod
    def read(cls, folder: Path, label_set: LabelSet) -> "Unseen":
        """Read and encode the items without a crowd."""
        items = pq.read_table(folder / "items.parquet", filters=[("split", "=", "gold_only")])
        truth = pq.read_table(folder / "truth.parquet").to_pylist()
        labels = {row["item_id"]: label_set.names.index(row["label"]) for row in truth}
        loader = ModelLoader(threads=THREADS, image_pixels_max=1, pause=time.sleep)
        learner = Learner.over(items["text"].to_pylist(), "text", label_set, loader)
        known = [labels[item_id] for item_id in items["item_id"].to_pylist()]
        return cls(features=learner.features, truth=np.array(known))

    def accuracy(self, learner: Learner, rows: Codes, targets: Floats, seed: int) -> float:
        """Return the accuracy on them of what the learner's recipe makes of some of its items."""
        model = fit(learner.recipe, learner.data(rows, targets), seed)
        return float((model.predict(self.features).argmax(axis=1) == self.truth).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """Accuracies on unseen sentences after one job that bought `answers` and taught `items`.

    `majority` holds them by the answers an item it took.
    """

    answers: int
    items: int
    adaptive: float
    gold: float
    majority: Mapping[int, float]


def taught(prepared: Prepared, unseen: Unseen, goal: float, seed: int) -> Taught:
    """Run one job over all items; train on what it taught, and on what others would have."""
    learner = prepared.learner
    if learner is None:
        raise ValueError(f"{CROWD} has no items to learn from")
    result = backtest(prepared, target_accuracy=goal, answers_max=None, seed=seed)
    recording, target = prepared.recording, result.consensus.target
    rows, answers = np.flatnonzero(result.consensus.trainable), result.standing.answers
    gold = np.eye(target.shape[1])[recording.truth[rows]]
    return Taught(
        answers=answers,
        items=len(rows),
        adaptive=unseen.accuracy(learner, rows, target[rows], seed),
        gold=unseen.accuracy(learner, rows, gold, seed),
        majority={
            redundancy: unseen.accuracy(
                learner, *majority(recording, redundancy, answers, seed), seed
            )
            for redundancy in REDUNDANCIES
        },
    )


def majority(
    recording: Recording, redundancy: int, answers: int, seed: int
) -> tuple[Codes, Floats]:
    """Return items asked so many times each until the answers are spent, and their majorities.

    Items and answers are drawn at random, and ties shared. Where all items have been asked and
    answers are left, it is done again.
    """
    rng = np.random.default_rng(seed)
    rank = rng.permutation(len(recording.item_ids))[recording.items]
    by_item = np.lexsort((rng.random(len(rank)), rank))
    counts = np.bincount(rank)
    place = np.arange(len(rank)) - np.repeat(np.cumsum(counts) - counts, counts)
    spent = by_item[np.argsort(place // redundancy, kind="stable")][:answers]
    votes = np.zeros((len(recording.item_ids), len(recording.label_set)))
    np.add.at(votes, (recording.items[spent], recording.labels[spent]), 1.0)
    asked = np.flatnonzero(votes.any(axis=1))
    best = votes[asked] == votes[asked].max(axis=1, keepdims=True)
    return asked, best / best.sum(axis=1, keepdims=True)


def teaching_figures(found: Sequence[Taught]) -> Iterator[Figure]:
    """Yield what was taught, beside majority and gold."""
    yield informing("teaching: answers", fmean(each.answers for each in found), "answers")
    yield informing("teaching: items taught", fmean(each.items for each in found), "items")
    adaptive, gold = [each.adaptive for each in found], [each.gold for each in found]
    yield from _spread("teaching: adaptive", adaptive, "share right")
    yield from _spread("teaching: gold, the same items", gold, "share right")
    most = 0.0
    for redundancy in REDUNDANCIES:
        right = [each.majority[redundancy] for each in found]
        most = max(most, fmean(right))
        yield from _spread(f"teaching: majority of {redundancy}", right, "share right")
    below = POINTS * (fmean(gold) - fmean(adaptive))
    yield at_most("teaching: adaptive below gold", below, "points", 1.0)
    above = POINTS * (fmean(adaptive) - most)
    yield at_least("teaching: adaptive above the best majority", above, "points", 0.0)


def sequence_figures(found: Sequence[Mapping[str, Life]]) -> Iterator[Figure]:
    """Yield what the jobs of each arm bought and reached."""
    for arm in found[0]:
        of = [each[arm] for each in found]
        yield from _spread(f"sequence: {arm}, answers", [life.answers for life in of], "answers")
        yield from _spread(f"sequence: {arm}, reached", [life.accuracy for life in of], "share")
        gap = POINTS * fmean(life.promised_above_reached for life in of)
        yield informing(f"sequence: {arm}, promised above reached", gap, "points")
    for arm in found[0]:
        if arm != "sequence":
            shares = [each["sequence"].answers / each[arm].answers for each in found]
            figure = f"sequence: answers beside {arm}"
            if arm == "crowd alone":
                yield at_most(figure, fmean(shares), "share", 0.6)
            else:
                yield informing(figure, fmean(shares), "share")


def table(found: Sequence[Mapping[str, Life]]) -> Table:
    """Return the jobs of each arm, a row each, means over the seeds."""
    drawn = Table(title="jobs in sequence", title_justify="left")
    for name in ("arm", "job", "answers", "audits", "trainings", "promised", "reached", "bound"):
        drawn.add_column(name)
    for arm in found[0]:
        for number, jobs in enumerate(zip(*(each[arm].jobs for each in found), strict=True)):
            drawn.add_row(
                arm,
                str(number + 1),
                f"{fmean(job.answers for job in jobs):,.0f}",
                f"{fmean(job.audit_answers for job in jobs):,.0f}",
                f"{fmean(job.trainings for job in jobs):.1f}",
                f"{fmean(job.expected for job in jobs):.3f}",
                f"{fmean(job.accuracy for job in jobs):.3f}",
                f"{fmean(job.certified for job in jobs):.3f}",
            )
    return drawn


def _spread(name: str, values: Sequence[float], unit: str) -> Iterator[Figure]:
    yield informing(name, fmean(values), unit)
    if len(values) > 1:
        yield informing(f"{name}, deviation over seeds", stdev(values), unit)


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    folder = os.environ.get("MUSTER_DATA")
    parser.add_argument("--data", type=Path, default=folder, required=folder is None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--goal", type=float, default=GOAL)
    asked, console = parser.parse_args(), Console(width=160)
    prepared = prepare(asked.data / CROWD)
    unseen = Unseen.read(asked.data / CROWD, prepared.recording.label_set)
    found = [taught(prepared, unseen, asked.goal, seed) for seed in range(asked.seeds)]
    jobs = [lives(prepared, asked.goal, seed) for seed in range(asked.seeds)]
    console.print(table(jobs))
    present("learning", [*teaching_figures(found), *sequence_figures(jobs)], console)


if __name__ == "__main__":
    main()
