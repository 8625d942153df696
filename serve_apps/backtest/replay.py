"""Replays a recorded crowd through the real shard, campaign and training step.

Workers arrive at random, each as often as they have recorded answers left, and claim a few items;
the shard offers only items that this worker answered in the recording. The recorded answer is
given; a forecast has answers drawn instead. Nothing else differs from the service: leases, budget,
truth inference, what is delivered when, learning and stopping are its own code.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from allocation.campaign import Campaign
from allocation.conclusions import Consensus, Standing
from allocation.ports import PartitionReport, Submission
from allocation.quality.directions import leading, placed
from allocation.service import ShardService
from cluster.domain.ids import JobId, KeyId, ShardId, WorkerId
from cluster.domain.jobs import Certificate
from cluster.domain.work import Partition, WorkerProfile
from cluster.ports import AnswerLog
from cluster.settings import AskingSettings
from serve_apps.backtest.learner import Learner, Legacy, ModelInUse
from serve_apps.backtest.recording import Recording
from training.judging import Drawn, thinned
from training.promotion import decide

CLAIM_COUNT = 5
REFIT_SHARE = 0.025
REFIT_ANSWERS_MIN = 25
LOG_PAGE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierPoint:
    """What had been reached for how much at one moment; accuracies as shares of the items.

    `answers_per_item` counts every answer bought, `audit_answers_per_item` those that only check.
    `certified_accuracy` is 0 before the first of these.
    """

    answers_per_item: float
    audit_answers_per_item: float
    accuracy: float | None
    expected_accuracy: float
    certified_accuracy: float
    model_accuracy: float | None
    trainings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """How a replay ended; `legacy` is what the next job of its line begins with."""

    items: int
    labels: npt.NDArray[np.int64]
    accuracy: float | None
    auto_share: float
    auto_accuracy: float | None
    standing: Standing
    certificate: Certificate
    frontier: tuple[FrontierPoint, ...]
    consensus: Consensus
    legacy: Legacy | None


class VirtualClock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


class Answerers(Protocol):
    """The workers of a replay, by the codes of its recording."""

    def arrival(self, rng: np.random.Generator) -> int | None:
        """Return who comes next; None where nobody is left who might be offered something."""
        ...

    def skills_of(self, worker: int, /) -> frozenset[str]:
        """Return what a worker is qualified for."""
        ...

    def items_of(self, worker: int) -> npt.NDArray[np.int64]:
        """Return the items a worker can still answer."""
        ...

    def take(self, worker: int, item: int) -> int:
        """Return a worker's answer to an item, which is given once."""
        ...

    def dismiss(self, worker: int) -> None:
        """Note that nothing was found for a worker: it does not come again before `recall`."""
        ...

    def recall(self) -> None:
        """Let all workers come again."""
        ...


class Replay:
    """One replay of one recording under one seed."""

    def __init__(
        self,
        recording: Recording,
        answerers: Answerers,
        campaign: Campaign,
        shard: ShardService,
        log: AnswerLog,
        partition: Partition,
        clock: VirtualClock,
        learner: Learner | None,
        seed: int,
    ) -> None:
        self._recording, self._campaign, self._shard = recording, campaign, shard
        self._log, self._partition, self._clock, self._learner = log, partition, clock, learner
        self._seed, self._rng = seed, np.random.default_rng(seed)
        self._delivery_rows_min = AskingSettings().delivery_rows_min
        self._model: ModelInUse | None = None
        self._answerers = answerers
        self._frontier: list[FrontierPoint] = []
        self._seq = 0
        if learner is not None:
            campaign.set_features(placed(learner.features, leading(learner.features)))
            self._set_model(learner.first)

    def run(self, on_point: Callable[[FrontierPoint], None]) -> BacktestResult:
        """Buy answers until the campaign is done; `on_point` hears of every refit."""
        report = self._refit(on_point)
        relaxed = False
        while True:
            asked = self._buy(self._refit_after())
            report = self._refit(on_point)
            aim = self._campaign.aim
            if self._campaign.go_on() or self._campaign.aim > aim:
                report = self._refit(on_point)
                continue
            quiet = asked == 0
            self._deliver_known()
            step = self._campaign.step([self._settled(report, quiet=quiet)], time_left_s=None)
            if step == "learn":
                self._learn()
                report = self._refit(on_point)
            elif step == "finish":
                if relaxed or report.wanted == 0 or self._campaign.spending.is_over:
                    return self._result()
                self._campaign.choosy = False
                relaxed = True
                self._refit(on_point)
            elif quiet:
                return self._result()

    def _refit_after(self) -> int:
        """Return how many answers to buy before the next refit: ever more, as they matter less."""
        known = len(self._campaign.answers)
        return max(REFIT_ANSWERS_MIN, round(REFIT_SHARE * max(self._partition.items, 2 * known)))

    def _buy(self, answers: int) -> int:
        """Let workers come until so many answers are bought or nobody is offered anything."""
        bought = 0
        self._answerers.recall()
        while bought < answers:
            worker = self._answerers.arrival(self._rng)
            if worker is None:
                break
            bought += self._serve(worker)
        return bought

    def _serve(self, worker: int) -> int:
        skills = self._answerers.skills_of(worker)
        profile = _profile(self._recording.worker_ids[worker], skills)
        eligible = {self._partition.job_id: self._answerers.items_of(worker)}
        offers = self._shard.claim(profile, CLAIM_COUNT, eligible)
        self._clock.tick(1.0)
        names = self._recording.label_set.names
        answers = [
            Submission(
                token=offer.token,
                label=names[self._answerers.take(worker, offer.position)],
                duration_s=1.0,
            )
            for offer in offers
        ]
        self._shard.answer(profile, answers)
        if not offers:
            self._answerers.dismiss(worker)
        return len(offers)

    def _refit(self, on_point: Callable[[FrontierPoint], None]) -> PartitionReport:
        columns = self._log.read(self._partition.job_id, self._seq, LOG_PAGE)
        if len(columns):
            self._seq = int(columns.seq[-1])
            self._campaign.absorb(columns)
        standing = self._campaign.refit()
        point = self._point(standing)
        self._frontier.append(point)
        on_point(point)
        snapshot = self._campaign.snapshot(
            self._partition, self._campaign.spending.left, audits_only=False
        )
        return self._shard.publish(snapshot)

    def _deliver_known(self) -> None:
        """Deliver what is certain once it is enough, and what is something else by now."""
        campaign = self._campaign
        certain, recalled = campaign.certain(), campaign.recalled()
        if len(recalled) or len(certain) >= self._delivery_rows_min:
            campaign.deliveries.note(campaign.delivery(np.union1d(certain, recalled)))
            campaign.settle()

    def _learn(self) -> None:
        self._campaign.note_training()
        if self._learner is None:
            return
        consensus = self._campaign.consensus()
        candidate = self._learner.train(consensus, self._next_version, self._seed)
        if candidate is not None and candidate.trained is not None:
            past = self._campaign.past
            self._campaign.past = replace(past, trained=(*past.trained, candidate.trained))
        if candidate is not None and self._is_better(candidate, consensus):
            self._set_model(candidate)

    @property
    def _next_version(self) -> int:
        return 1 if self._model is None else self._model.version + 1

    def _is_better(self, candidate: ModelInUse, consensus: Consensus) -> bool:
        """Return whether the service's own gate would promote the candidate."""
        if self._model is None:
            return True
        before, taught = self._model.probabilities, np.flatnonzero(consensus.trainable)
        judged = np.union1d(np.flatnonzero(consensus.audited), thinned(taught))
        audited = consensus.audited[judged]
        said = np.where(
            audited[:, None], consensus.audit_posterior[judged], consensus.target[judged]
        )
        decision = decide(
            before[judged].astype(np.float32),
            candidate.probabilities[judged].astype(np.float32),
            said.astype(np.float32),
            drawn=Drawn.by_sureness(before.max(axis=1), judged, audited),
        )
        return decision.promote

    def _set_model(self, model: ModelInUse) -> None:
        self._model = model
        self._campaign.set_model(model.version, model.probabilities)

    def _settled(self, report: PartitionReport, *, quiet: bool) -> PartitionReport:
        """Return the report, with nothing wanted where no recorded answer can satisfy it."""
        if not quiet:
            return report
        return replace(report, leased=0, wanted=0, open=0)

    def _point(self, standing: Standing) -> FrontierPoint:
        truth = self._campaign.truth
        return FrontierPoint(
            answers_per_item=standing.answers / self._partition.items,
            audit_answers_per_item=standing.audit_answers / self._partition.items,
            accuracy=self._accuracy(truth.log_full.argmax(axis=1)),
            expected_accuracy=standing.expected_accuracy,
            certified_accuracy=self._campaign.certificate().overall.accuracy_lower,
            model_accuracy=None
            if self._model is None
            else self._accuracy(self._model.probabilities.argmax(axis=1)),
            trainings=self._campaign.trainings,
        )

    def _accuracy(
        self, labels: npt.NDArray[np.int64], part: npt.NDArray[np.bool_] | None = None
    ) -> float | None:
        known = self._recording.truth >= 0
        if part is not None:
            known &= part
        if not known.any():
            return None
        return float((labels[known] == self._recording.truth[known]).mean())

    def _result(self) -> BacktestResult:
        everything = np.arange(self._partition.items, dtype=np.int64)
        delivery = self._campaign.delivery(everything)
        auto = delivery.answers == 0
        return BacktestResult(
            items=self._partition.items,
            labels=delivery.labels,
            accuracy=self._accuracy(delivery.labels),
            auto_share=float(auto.mean()),
            auto_accuracy=self._accuracy(delivery.labels, auto),
            standing=self._campaign.standing(),
            certificate=self._campaign.certificate(),
            frontier=tuple(self._frontier),
            consensus=self._campaign.consensus(),
            legacy=self._legacy(),
        )

    def _legacy(self) -> Legacy | None:
        if self._learner is None or self._model is None:
            return None
        trained = self._campaign.past.trained
        return self._learner.bequest(self._campaign.consensus(), self._model, trained)


class RecordedAnswers:
    """The recorded answers that have not been given yet; workers come by how many they have."""

    def __init__(self, recording: Recording) -> None:
        order = np.argsort(recording.workers, kind="stable")
        bounds = np.searchsorted(recording.workers[order], np.arange(len(recording.worker_ids) + 1))
        self._of = [
            dict(zip(recording.items[rows].tolist(), recording.labels[rows].tolist(), strict=True))
            for rows in np.split(order, bounds[1:-1])
        ]
        self._count = np.array([len(answers) for answers in self._of], dtype=np.float64)
        self._idle = np.zeros(len(self._of), dtype=np.bool_)

    def arrival(self, rng: np.random.Generator) -> int | None:
        """Return who comes next; None where nobody is left who might be offered something."""
        return drawn(np.where(self._idle, 0.0, self._count), rng)

    def skills_of(self, _worker: int, /) -> frozenset[str]:
        """Return none: recordings do not tell."""
        return frozenset()

    def items_of(self, worker: int) -> npt.NDArray[np.int64]:
        """Return the items a worker can still answer."""
        return np.fromiter(self._of[worker], dtype=np.int64, count=len(self._of[worker]))

    def take(self, worker: int, item: int) -> int:
        """Return a worker's answer to an item, and strike it off."""
        self._count[worker] -= 1
        label: int = self._of[worker].pop(item)
        return label

    def dismiss(self, worker: int) -> None:
        """Note that nothing was found for a worker."""
        self._idle[worker] = True

    def recall(self) -> None:
        """Let all workers come again."""
        self._idle[:] = False


def drawn(weights: npt.NDArray[np.float64], rng: np.random.Generator) -> int | None:
    """Return a code drawn by its weight; None where all are 0."""
    total = float(weights.sum())
    return int(rng.choice(len(weights), p=weights / total)) if total > 0.0 else None


def _profile(worker_id: str, skills: frozenset[str]) -> WorkerProfile:
    return WorkerProfile(
        worker_id=WorkerId(worker_id),
        owner=KeyId("recording"),
        name=worker_id,
        skills=skills,
        price=1.0,
        registered_at=0.0,
    )


def only_partition(items: int) -> Partition:
    """Return the one partition of a backtest's job."""
    return Partition(
        job_id=JobId("backtest"), number=0, first_position=0, items=items, shard_id=ShardId(0)
    )
