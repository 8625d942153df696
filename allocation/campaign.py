"""The truth side of one job: what is known, what to ask on, when to learn, when to stop.

A campaign is told of answers and model predictions and draws all conclusions from them; it does
no IO and knows no time but what it is told. The service (`allocation.stage`) and the backtest run
the very same campaign.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from allocation import vetting
from allocation.auditing import AuditCourse, Evidence, Reach
from allocation.bulletin import Bulletin
from allocation.conclusions import Consensus, Delivery, Positions, Standing
from allocation.deliveries import Deliveries
from allocation.foresight import Features, graded
from allocation.log import joined
from allocation.newcomers import Known, Newcomers
from allocation.paces import seconds_of
from allocation.patience import is_exhausted
from allocation.ports import PartitionReport, TruthSnapshot
from allocation.purse import Amounts
from allocation.quality.calibration import tempered
from allocation.quality.fusion import Truth, Witnesses, fuse
from allocation.quality.opinion_pool import ANSWER_WORTH
from allocation.quality.votes import Bools, Floats, Votes
from allocation.reference import discounted, error_allowed, shared_errors
from allocation.rest import Rests
from allocation.retraining import Past, Rows, Told, worth_it
from allocation.sampling import AuditPlan, mask_of, seed_sample, uniform_plan
from allocation.spending import Spending
from allocation.urgency import Urgency
from cluster.domain.ids import UnixSeconds, WorkerId
from cluster.domain.jobs import Certificate, JobSpec
from cluster.domain.models import ZERO_SHOT
from cluster.domain.work import AnswerColumns, Partition

SEED_ANSWERS = 2
"""Answers to each item of the seed sample: the least that tells workers apart."""

WORTH_RATIO = 1.0
"""Workers worth less than this share of the average one are passed over while others come."""

GOAL_ERROR_MIN = 0.005
"""No crowd is asked for more certainty than this, whatever the goal."""

Step = Literal["ask", "learn", "finish"]


class Campaign:
    """One job's answers and predictions, and what follows from them."""

    def __init__(
        self,
        spec: JobSpec,
        items: int,
        *,
        trainings_max: int,
        trainings: int = 0,
        trained_items: int = 0,
        past: Past | None = None,
        audit_plan: AuditPlan | None = None,
    ) -> None:
        self._spec, self._items, self._labels = spec, items, len(spec.label_set)
        self._trainings_max, self.trainings = trainings_max, trainings
        self.trained_items, self.past = trained_items, past or Past()
        plan = audit_plan or uniform_plan(items, spec.crowd, spec.seed)
        self.audit = AuditCourse(plan, spec.crowd.audit_answers_max)
        self._seed = mask_of(items, seed_sample(plan, self._labels, spec.seed))
        self._answers = AnswerColumns.of([])
        self.deliveries = Deliveries(items)
        self.urgency = Urgency()
        self._model: Floats | None = None
        self._version = ZERO_SHOT
        self._features: Features = np.empty((items, 0), dtype=np.float16)
        self._newcomers = Newcomers(self._labels)
        self._worth_ratio, self._copiers = WORTH_RATIO, vetting.Copiers()
        self._truth: Truth | None = None
        self._stood: Standing | None = None
        self._surety: Floats = np.empty(0)
        self._settled = np.zeros(items, dtype=np.bool_)
        self.findings: tuple[vetting.Finding, ...] = ()
        self._rests = Rests(spec.crowd.worker_hour_answers_max)
        self.round, self.aim = 0, spec.goal.accuracy

    @property
    def answers(self) -> AnswerColumns:
        """Every answer so far, in log order."""
        return self._answers

    @property
    def seeding(self) -> bool:
        """Whether the campaign still asks only about its seed sample."""
        untrained = self._version == ZERO_SHOT and self.trainings == 0
        return untrained and self._trainings_max > 0 and bool(self._seed.any())

    def amend(self, spec: JobSpec) -> bool:
        """Go by the job's newest weight and budget; return whether they are new."""
        is_new, self._spec = spec != self._spec, spec
        return is_new

    def set_model(self, version: int, probabilities: Floats | None) -> None:
        """Take the model's own probabilities (items, K) of the live version; None for no model."""
        self._version, self._model = version, probabilities

    def set_features(self, features: Features) -> None:
        """Take what tells which items are similar, (items, D); zeros where nothing does."""
        self._features = features

    def know_workers(self, known: Known) -> None:
        """Take what is known of workers beside their answers; it is used from the next refit on."""
        self._newcomers.know(known)

    def note_training(self) -> None:
        """Note that a model is trained on all answers so far, whether or not it will go live."""
        self.trainings += 1
        self.trained_items = int(self._trainable().sum())

    def absorb(self, answers: AnswerColumns) -> None:
        """Add new answers, read from the log in order."""
        self._answers = joined([self._answers, answers])
        self.audit.note(answers)

    @property
    def choosy(self) -> bool:
        """Whether workers worth much less than the average one are passed over."""
        return self._worth_ratio > 0.0

    @choosy.setter
    def choosy(self, choosy: bool) -> None:
        self._worth_ratio = WORTH_RATIO if choosy else 0.0

    def refit(self) -> Standing:
        """Infer truth anew from everything known but answers of copiers, and of spammers by it."""
        self.findings = self._copiers.found
        self._truth = fuse(self._witnesses())
        self._copiers.seek(self._answers, self._truth)
        found = (*self._copiers.found, *vetting.spamming(self._truth, self._answers))
        if found != self.findings:
            self.findings = found
            self._truth = fuse(self._witnesses())
        witnesses, worker_ids = self._witnesses(), self._answers.worker_ids
        self._newcomers.learn(witnesses.crowd_votes, self._truth, worker_ids)
        self.round, self._surety = self.round + 1, np.exp(self._truth.log_label.max(axis=1))
        self._stood = Standing.counted(
            self._answers,
            expected_accuracy=float(discounted(self._surety, self._shared_errors).mean()),
            paused=len(self._paused()),
            temperature=self._truth.temperature,
        )
        return self.standing()

    def note_time(self, now: UnixSeconds) -> bool:
        """Let workers rest, or end their rest; return whether shards are to be told."""
        return self._rests.look(self._answers, now)

    def standing(self) -> Standing:
        """Return where the campaign stood at its last refit, by what is wanted of it now."""
        if self._stood is None:
            raise RuntimeError("a campaign stands nowhere before its first refit")
        return replace(self._stood, audits_open=self.audit.open_answers(self._answers))

    @property
    def truth(self) -> Truth:
        """The last fit; refit first."""
        if self._truth is None:
            raise RuntimeError("a campaign has no truth before its first refit")
        return self._truth

    def snapshot(self, partition: Partition, left: Amounts, *, audits_only: bool) -> TruthSnapshot:
        """Return what the shard that owns a partition should act on, with so much to buy for.

        For many partitions make one `bulletin`: most of what it says is the same for all.
        """
        seen = self.spending.on([partition])[partition.number]
        return self.bulletin(audits_only=audits_only).snapshot(partition, left, seen)

    def bulletin(self, *, audits_only: bool) -> Bulletin:
        """Return what the shards should act on by what is known now."""
        truth, gold, answers, crowd = self.truth, self._gold(), self._answers, self._spec.crowd
        worth, seeding = ANSWER_WORTH * truth.sharpness, self.seeding
        worker_ids, log_confusion = self._newcomers.told(answers.worker_ids, truth, worth)
        return Bulletin(
            round=self.round,
            worker_ids=worker_ids,
            log_confusion=log_confusion.astype(np.float32),
            pooled_log_confusion=tempered(truth.log_pooled, worth).astype(np.float32),
            paused_workers=self._paused() | self._rests.tired,
            proven_workers=vetting.proven(answers, gold, crowd.gold_answers),
            seconds=seconds_of(answers, worker_ids),
            turns=self._rests.turns(answers, worker_ids),
            log_label=truth.log_label,
            closed=self._closed(audits_only=audits_only),
            audit=mask_of(self._items, self.audit.asked),
            gold=gold,
            goal_error=0.0 if seeding else max(self._goal_error(), GOAL_ERROR_MIN),
            label_answers_max=self._label_answers_max,
            worth_ratio_min=0.0 if seeding else self._worth_ratio,
            price_mean=float(answers.prices.mean()) if len(answers) else 0.0,
            price_likely=self.spending.price_likely,
            weight=self._spec.weight * self.urgency.factor,
        )

    @property
    def spending(self) -> Spending:
        """What was bought so far, and what is left to buy for."""
        return Spending(budget=self._spec.budget, answers=self._answers, choosy=self.choosy)

    def is_exhausted(self, asked: Bools) -> bool:
        """Return whether all have answered all: labels of what is `asked` (items,), and audits."""
        answers, paused = self._answers, self._paused()
        given = np.bincount(answers.positions[~answers.audit], minlength=self._items)
        labels = asked & ~self._closed(audits_only=False) & (given < self._label_answers_max)
        audits = self.audit.wanted(answers) > 0
        reviewed = bool(self._spec.crowd.audit_skills)
        return is_exhausted(answers, paused, labels=labels, audits=audits, reviewed=reviewed)

    @property
    def _label_answers_max(self) -> int:
        most = self._spec.crowd.answers_per_item_max
        return min(SEED_ANSWERS, most) if self.seeding else most

    def step(self, reports: Sequence[PartitionReport], *, time_left_s: float | None) -> Step:
        """Return what to do next, given how the partitions stand under the newest snapshot."""
        if self.spending.is_over or (time_left_s is not None and time_left_s <= 0.0):
            return "finish"
        satisfied = all(report.wanted == report.open == 0 for report in reports)
        quiet = satisfied and all(report.leased == 0 for report in reports)
        if satisfied and not self.seeding and self._met():
            # What is still out cannot be needed any more: nobody waits for it.
            return "finish"
        if self._learning_due(quiet=quiet):
            return "learn"
        return "finish" if quiet and not self.seeding else "ask"

    def _met(self) -> bool:
        standing = self.standing()
        return standing.audits_open == 0 and standing.expected_accuracy >= self.aim

    def certain(self) -> Positions:
        """Return items sure enough to be delivered at once, while the job runs.

        Only under a trained model or with an answer of its own, never before its audit, and as
        sure as the goal asks the average item to be: together they are surer than the goal.
        """
        return np.flatnonzero(self._certain() & ~self.audit.mask & ~self.deliveries.final)

    def settle(self) -> None:
        """Ask no more for labels of audited items that are as certain as those delivered now.

        These are not asked about any more, and an audited item is to be labelled no better.
        """
        self._settled |= self._certain() & self.audit.mask

    def recalled(self) -> Positions:
        """Return delivered items that are something else by now, as surely as `certain` asks.

        An item is recalled `RECALLS_MAX` times while the job runs, one that is audited never.
        """
        broken = self.deliveries.unsettled(self.truth.log_full) & self.deliveries.correctable
        return np.flatnonzero(broken & self._sure() & ~self.audit.mask)

    def unsettled(self) -> Positions:
        """Return items not delivered yet, or as something else than `delivery` would say now."""
        return np.flatnonzero(self.deliveries.unsettled(self.truth.log_full))

    def delivery(self, positions: Positions) -> Delivery:
        """Return the labels of some items as the job would deliver them now."""
        log_posterior, votes = self.truth.log_full[positions], self._witnesses().crowd_votes
        probability = discounted(np.exp(log_posterior.max(axis=1)), self._shared_errors)
        audited = self._votes(audit=True).answers_per_item()[positions] > 0
        return Delivery(
            positions=positions,
            labels=log_posterior.argmax(axis=1),
            probability=probability,
            answers=self._label_counts()[positions],
            audited=audited,
            model_version=self._version,
            revisions=self.deliveries.revisions[positions] + 1,
            difficulties=graded(positions, votes, self.truth, self._features),
        )

    def consensus(self) -> Consensus:
        """Return what the job believes, for training and for clients who look in."""
        truth = self.truth
        return Consensus(
            posterior=np.exp(truth.log_full),
            target=np.exp(truth.log_crowd),
            audit_posterior=np.exp(truth.log_audit),
            answers=self._label_counts(),
            audit=self.audit.held_out,
            audited=self._votes(audit=True).answers_per_item() > 0,
            trainable=self._trainable(),
        )

    def certificate(self) -> Certificate:
        """Return what the audit proves so far about the labels as they stand before it."""
        return self._evidence().certificate

    def reach(self) -> tuple[Reach, ...]:
        """Return about what can be certified if the rest meets the goal; empty before any audit."""
        accuracy = max(self.aim, self.standing().expected_accuracy)
        return self._evidence().reach(accuracy, items_max=self.audit.items_max(self.spending))

    def go_on(self) -> int:
        """Ask for what is wanting to prove the goal; return how many more items are audited.

        More audits where they are likely to do. Where they are not, and the goal is to be proven,
        surer labels than it asks for, so that they would; no surer once it is proven.
        """
        audit, shared, standing = self.audit, self._shared_errors, self.standing()
        complete = standing.audits_open == 0 and standing.expected_accuracy >= self._goal
        if self.seeding or self.spending.is_over or audit.has_ended or not complete:
            return 0
        raises = self._spec.goal.proven and self._met()
        surest = (1.0 - GOAL_ERROR_MIN) * (1.0 - shared) if raises else 0.0
        items_max, evidence = audit.items_max(self.spending), self._evidence()
        items, self.aim = evidence.pursuit(self._goal, self.aim, surest, items_max=items_max)
        audit.add(items)
        return items

    def _evidence(self) -> Evidence:
        return Evidence(
            plan=self.audit.plan,
            planned=self.audit.planned,
            truth=self.truth,
            witnesses=self._witnesses(),
            confidence=self._spec.goal.confidence,
        )

    @property
    def _goal(self) -> float:
        return self._spec.goal.accuracy

    @property
    def _shared_errors(self) -> float:
        return shared_errors(
            reviewed=bool(self._spec.crowd.audit_skills), model=self._model is not None
        )

    def _closed(self, *, audits_only: bool) -> Bools:
        """Return which items take no label questions: none that is out and unsure again."""
        beside_the_seed = ~self._seed & self.seeding
        done = (self.deliveries.final | self._settled) & self._sure()
        return np.asarray(done | beside_the_seed | audits_only)

    def _certain(self) -> Bools:
        known = (self._label_counts() > 0) | (self._version != ZERO_SHOT)
        return np.asarray(self._sure() & known & (not self.seeding))

    def _sure(self) -> Bools:
        return np.asarray(self._surety >= self.aim)

    def _goal_error(self) -> float:
        return error_allowed(self.aim, self._shared_errors)

    def _learning_due(self, *, quiet: bool) -> bool:
        left, known = self._trainings_max - self.trainings, int(self._trainable().sum())
        if self.seeding:
            return left > 0 and quiet and known > 0
        possible = int((~self.audit.held_out).sum())
        rows = Rows(learnt=self.trained_items, known=known, possible=possible)
        # Of items that are sure, which nobody is asked about, only the audit tells.
        judged = self.audit.is_half_done(self._answers)
        doubtful = int((~self._sure() & ~self.deliveries.final & judged).sum())
        return worth_it(self.past, rows, left, doubtful, Told(self._answers, self.truth))

    def _label_counts(self) -> npt.NDArray[np.int32]:
        return self._votes(audit=False).answers_per_item().astype(np.int32)

    def _trainable(self) -> Bools:
        return np.asarray((self._label_counts() > 0) & ~self.audit.held_out)

    def _votes(self, *, audit: bool) -> Votes:
        shape = {"items": self._items, "labels": self._labels}
        return vetting.heard(self._answers, self.findings, audit=audit, **shape)

    def _paused(self) -> frozenset[WorkerId]:
        return frozenset[WorkerId]().union(*(found.workers for found in self.findings))

    def _gold(self) -> Bools:
        """Return the items that may serve as gold, (items,): none where nobody is to be tested."""
        if self._spec.crowd.gold_answers == 0:
            return np.zeros(self._items, dtype=np.bool_)
        return vetting.settled(self.truth, self._label_counts()) & ~self.audit.mask

    def _witnesses(self) -> Witnesses:
        return Witnesses(
            label_votes=self._votes(audit=False),
            audit_votes=self._votes(audit=True),
            model=self._model,
            reviewed=bool(self._spec.crowd.audit_skills),
        )
