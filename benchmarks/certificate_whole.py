"""Whole jobs whose truth is known, run by the service's own campaign, shard and training step.

Where `benchmarks.certificate_jobs` draws how the labels of a job came about, these go the long way:
labels are delivered while the job runs, closed, recalled and audited, models are trained on what
the crowd said, audits are added. Every third job has no model; every third begins with one that
knows nothing of its items; the others come after a job of the same line, whose model may be wrong
about theirs, as the items have drifted. A share of the items misleads the whole crowd in the same
way. Half of the jobs are audited by reviewers, who are right.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np

from allocation.quality.votes import Codes
from benchmarks.certificate_jobs import Crowd, drawn_beliefs, drawn_crowd
from benchmarks.figures import Figure, at_most, informing
from cluster.domain.jobs import CrowdTerms
from cluster.domain.labels import Label, LabelSet
from serve_apps.backtest.learner import Learner, content_hash
from serve_apps.backtest.recording import Recording
from serve_apps.backtest.replay import BacktestResult, drawn
from serve_apps.backtest.run import Prepared, backtest
from training.config import MINILM
from training.recipes import recipe_for

Kind = Literal["no model", "untrained model", "model of earlier items"]

KINDS: tuple[Kind, ...] = ("no model", "untrained model", "model of earlier items")
ITEMS = (600, 2_500)
FEATURES = 24
REVIEWERS, REVIEWER = 3, "reviewer"
GOALS = (0.85, 0.97)
ANSWERS_PER_ITEM_MAX = 9
MISLED_SHARE_MAX = 0.06
DRIFT_MAX = 1.0
CERTIFIED_ABOVE_MAX = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeJob:
    """How one job went; `above` is whether any reading of its certificate exceeded the truth.

    A reading is compared with the labels as the job would have delivered them at that moment.
    """

    kind: Kind
    reviewed: bool
    proven: bool
    goal: float
    reached: float
    expected: float
    certified: float
    above: bool
    answers_per_item: float

    @property
    def above_at_the_end(self) -> bool:
        """Whether the job ended certified above the truth."""
        return self.certified > self.reached


class World:
    """Items of some classes, their features and their crowd, all drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        rng = self._rng
        self.labels = int(rng.integers(2, 5))
        self._prior = rng.dirichlet(np.full(self.labels, rng.choice([2.0, 20.0])))
        self._centres = rng.standard_normal((self.labels, FEATURES))
        self._strength = float(rng.uniform(0.3, 0.8))
        self._crowd = drawn_crowd(rng, self.labels)
        self._misled = float(rng.uniform(0.0, MISLED_SHARE_MAX))

    def job(self, name: str, *, with_model: bool, reviewed: bool) -> "tuple[Prepared, LiveCrowd]":
        """Return another job and who answers it."""
        rng = self._rng
        items, reviewers = int(rng.integers(*ITEMS)), REVIEWERS if reviewed else 0
        truth = rng.choice(self.labels, items, p=self._prior).astype(np.int64)
        workers = len(self._crowd.confusion) + reviewers
        recording = _recording(name, truth, self.labels, workers)
        learner = self._learner(name, truth) if with_model else None
        misled = rng.random(items) < self._misled
        seen = np.where(misled, rng.integers(self.labels, size=items), truth)
        prepared = Prepared(recording=recording, learner=learner)
        return prepared, LiveCrowd(self._crowd, seen, truth, reviewers, rng)

    def drift(self) -> None:
        """Let the items to come look somewhat different from those before."""
        rng = self._rng
        step = rng.standard_normal(self._centres.shape)
        self._centres = self._centres + rng.uniform(0.0, DRIFT_MAX) * step

    def _learner(self, name: str, truth: Codes) -> Learner:
        rng = self._rng
        noise = rng.standard_normal((len(truth), FEATURES))
        features = self._strength * self._centres[truth] + noise
        zero_shot = np.exp(drawn_beliefs(rng, truth, self._prior))
        hashes = [content_hash(f"{name} {number}") for number in range(len(truth))]
        recipe = recipe_for("text", MINILM)
        return Learner(features.astype(np.float32), hashes, zero_shot, recipe)


class LiveCrowd:
    """Workers who answer each item once, by what they `seen` of it; reviewers see the `truth`."""

    def __init__(
        self, crowd: Crowd, seen: Codes, truth: Codes, reviewers: int, rng: np.random.Generator
    ) -> None:
        self._crowd, self._seen, self._truth, self._rng = crowd, seen, truth, rng
        self._first_reviewer = len(crowd.confusion)
        workers = self._first_reviewer + reviewers
        self._open = np.ones((workers, len(truth)), dtype=np.bool_)
        self._idle = np.zeros(workers, dtype=np.bool_)

    def arrival(self, rng: np.random.Generator) -> int | None:
        """Return who comes next; None where nobody is left who might be offered something."""
        return drawn(np.where(self._idle, 0.0, 1.0), rng)

    def skills_of(self, worker: int) -> frozenset[str]:
        """Return what a worker is qualified for."""
        return frozenset({REVIEWER} if worker >= self._first_reviewer else ())

    def items_of(self, worker: int) -> Codes:
        """Return the items a worker can still answer."""
        return np.flatnonzero(self._open[worker])

    def take(self, worker: int, item: int) -> int:
        """Return a worker's answer to an item."""
        self._open[worker, item] = False
        if worker >= self._first_reviewer:
            return int(self._truth[item])
        one = np.array([worker]), self._seen[item : item + 1]
        return int(self._crowd.answers(self._rng, *one)[0])

    def dismiss(self, worker: int) -> None:
        """Note that nothing was found for a worker."""
        self._idle[worker] = True

    def recall(self) -> None:
        """Let all workers come again."""
        self._idle[:] = False


def whole_jobs(seed: int) -> tuple[WholeJob, ...]:
    """Run the job with this number, and the one before it on its line where there is one."""
    world, kind, reviewed = World(seed), KINDS[seed % 3], seed % 2 == 0
    rng = np.random.default_rng([seed, 1])
    goal, proven = float(rng.uniform(*GOALS)), bool(rng.random() < 0.5)

    def run(prepared: Prepared, crowd: LiveCrowd, kind: Kind) -> tuple[WholeJob, BacktestResult]:
        result = backtest(
            prepared,
            target_accuracy=goal,
            answers_max=None,
            seed=seed,
            crowd=CrowdTerms(
                audit_skills=frozenset({REVIEWER} if reviewed else ()),
                audit_answers_max=1 if reviewed else 3,
                answers_per_item_max=ANSWERS_PER_ITEM_MAX,
            ),
            answerers=crowd,
            proven=proven,
        )
        return _outcome(result, kind, goal, reviewed=reviewed, proven=proven), result

    if kind != "model of earlier items":
        prepared, crowd = world.job("job", with_model=kind != "no model", reviewed=reviewed)
        return (run(prepared, crowd, kind)[0],)
    first, result = run(*world.job("a", with_model=True, reviewed=reviewed), "untrained model")
    world.drift()
    prepared, crowd = world.job("b", with_model=True, reviewed=reviewed)
    return first, run(prepared.after(result.legacy), crowd, kind)[0]


def figures(jobs: Sequence[WholeJob]) -> Iterator[Figure]:
    """Yield what the jobs say together, and by kind."""
    yield informing("whole jobs", len(jobs), "jobs")
    for name, found in (
        ("ever certified above the truth", fmean(job.above for job in jobs)),
        ("certified above it at the end", fmean(job.above_at_the_end for job in jobs)),
    ):
        yield at_most(f"whole jobs: {name}", found, "share", CERTIFIED_ABOVE_MAX)
    for kind in KINDS:
        for reviewed in (True, False):
            some = [job for job in jobs if job.kind == kind and job.reviewed == reviewed]
            if some:
                yield from _of(f"{kind}, {'reviewers' if reviewed else 'crowd'}", some)
    proven = [job for job in jobs if job.proven]
    if proven:
        kept = fmean(job.certified >= job.goal for job in proven)
        yield informing("whole jobs to be proven: proven", kept, "share")


def _of(name: str, jobs: Sequence[WholeJob]) -> Iterator[Figure]:
    over = [100 * (job.reached - job.goal) for job in jobs]
    yield informing(f"{name}: jobs", len(jobs), "jobs")
    yield informing(f"{name}: ever certified above", fmean(job.above for job in jobs), "share")
    yield informing(f"{name}: reached above the goal", fmean(over), "points")
    yield informing(f"{name}: the same, tenth of the jobs", float(np.quantile(over, 0.1)), "points")
    promised = fmean(100 * (job.expected - job.reached) for job in jobs)
    yield informing(f"{name}: expected above reached", promised, "points")
    slack = fmean(100 * (job.reached - job.certified) for job in jobs)
    yield informing(f"{name}: certified below reached", slack, "points")
    answers = fmean(job.answers_per_item for job in jobs)
    yield informing(f"{name}: answers an item", answers, "answers")


def _outcome(
    result: BacktestResult, kind: Kind, goal: float, *, reviewed: bool, proven: bool
) -> WholeJob:
    reached = result.accuracy or 0.0
    return WholeJob(
        kind=kind,
        reviewed=reviewed,
        proven=proven,
        goal=goal,
        reached=reached,
        expected=result.standing.expected_accuracy,
        certified=result.certificate.overall.accuracy_lower,
        above=any(point.certified_accuracy > (point.accuracy or 0.0) for point in result.frontier),
        answers_per_item=result.standing.answers / result.items,
    )


def _recording(name: str, truth: Codes, labels: int, workers: int) -> Recording:
    nothing = np.empty(0, dtype=np.int64)
    return Recording(
        name=name,
        label_set=LabelSet(tuple(Label(f"label {number}") for number in range(labels))),
        item_ids=tuple(f"item {number}" for number in range(len(truth))),
        worker_ids=tuple(f"worker {number}" for number in range(workers)),
        items=nothing,
        workers=nothing,
        labels=nothing,
        truth=truth,
        contents=None,
        modality="text",
    )
