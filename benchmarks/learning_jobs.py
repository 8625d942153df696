"""Three jobs of one line, one after another: with what the last one left, and without."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from serve_apps.backtest.replay import BacktestResult
from serve_apps.backtest.run import Prepared, backtest

JOBS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    """How one job ended; accuracies as shares of its items."""

    items: int
    answers: int
    audit_answers: int
    trainings: int
    accuracy: float
    expected: float
    certified: float

    @classmethod
    def of(cls, result: BacktestResult) -> "JobOutcome":
        """Return what matters of a replay."""
        return cls(
            items=result.items,
            answers=result.standing.answers,
            audit_answers=result.standing.audit_answers,
            trainings=result.frontier[-1].trainings,
            accuracy=result.accuracy or 0.0,
            expected=result.standing.expected_accuracy,
            certified=result.certificate.overall.accuracy_lower,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The jobs of one line, in their order."""

    jobs: tuple[JobOutcome, ...]

    @property
    def answers(self) -> int:
        """Answers bought in all, audits included."""
        return sum(job.answers for job in self.jobs)

    @property
    def accuracy(self) -> float:
        """The share of all items that were labelled right."""
        return fmean(job.accuracy for job in self.jobs)

    @property
    def promised_above_reached(self) -> float:
        """What jobs expected of themselves less what they reached, on average."""
        return fmean(job.expected - job.accuracy for job in self.jobs)


def lives(prepared: Prepared, goal: float, seed: int) -> Mapping[str, Life]:
    """Split a recording at random into jobs and run them by every arm."""
    order = np.random.default_rng(seed).permutation(len(prepared.recording.item_ids))
    parts = [prepared.part(np.sort(part)) for part in np.array_split(order, JOBS)]
    return {name: arm(parts, goal, seed) for name, arm in ARMS.items()}


def in_sequence(parts: list[Prepared], goal: float, seed: int) -> Life:
    """Each job begins with what the jobs before it have left."""
    legacy, jobs = None, []
    for part in parts:
        result = _run(part.after(legacy), goal, seed)
        legacy = result.legacy
        jobs.append(JobOutcome.of(result))
    return Life(jobs=tuple(jobs))


def alone(parts: list[Prepared], goal: float, seed: int) -> Life:
    """Each job learns from its own crowd only."""
    return Life(jobs=tuple(JobOutcome.of(_run(part, goal, seed)) for part in parts))


def zero_shot(parts: list[Prepared], goal: float, seed: int) -> Life:
    """No job learns; the untrained model that every line starts from is asked all the same."""
    return Life(jobs=tuple(JobOutcome.of(_run(part, goal, seed, trainings=0)) for part in parts))


def crowd_alone(parts: list[Prepared], goal: float, seed: int) -> Life:
    """No job learns, and no model is asked."""
    modelless = [replace(part, learner=None) for part in parts]
    return Life(jobs=tuple(JobOutcome.of(_run(part, goal, seed)) for part in modelless))


ARMS: Mapping[str, Callable[[list[Prepared], float, int], Life]] = {
    "sequence": in_sequence,
    "alone": alone,
    "zero-shot": zero_shot,
    "crowd alone": crowd_alone,
}


def _run(part: Prepared, goal: float, seed: int, trainings: int | None = None) -> BacktestResult:
    return backtest(
        part, target_accuracy=goal, answers_max=None, seed=seed, trainings_max=trainings
    )
