"""The learning stage of a job: train on the newest consensus, and promote what is better."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from cluster.domain.ids import UnixSeconds
from cluster.domain.jobs import Job, JobState
from cluster.domain.lines import TRIALS, Stage
from cluster.domain.models import Lineage, ModelRecord, ModelSpec
from cluster.errors import ModelUnusable, ObjectMissing, TrainingFailed, Unavailable
from cluster.model_settings import RolloutSettings
from cluster.ports import Stores
from cluster.runner import JobDesk
from training.building import build_snapshot
from training.gate import judge_candidate
from training.incumbent import Incumbent
from training.lines import admit, version_for
from training.plan import Trainer, TrainingPlan, Tuner, Untuned
from training.promotion import PromotionDecision
from training.recipes import recipe_of
from training.registry import register
from training.rollout import Why
from training.search import Allowance
from training.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """How a round of learning ended; `stage` is where the candidate stands now.

    `outdated` tells that the job is to be pre-labelled by another version than it was, whoever
    promoted that or rolled it back.
    """

    snapshot: Snapshot
    candidate: ModelRecord
    decision: PromotionDecision
    stage: Stage
    outdated: bool


_VERDICTS: Mapping[Stage, str] = MappingProxyType(
    {
        Stage.LIVE: "promoted",
        Stage.SHADOW: "it answers online requests beside the live version first",
        Stage.CANARY: "it answers a share of the online requests first",
    }
)


LOADS_MAX = 3
"""How often a version is loaded before the replicas that are lost over it are its own doing."""


class LearnStage:
    """Runs the state LEARNING; safe to run again from any point.

    Snapshot, run and version all carry the round's name, so that a second run finds what the
    first one made. Whatever goes wrong, the live model stays and the job goes on asking. What its
    owner wishes meanwhile is heard at once.
    """

    def __init__(
        self,
        stores: Stores,
        trainer: Trainer,
        code_version: str,
        rollout: RolloutSettings,
        warm: Callable[[ModelSpec], None],
        tuner: Tuner | None = None,
    ) -> None:
        """Take `warm` to load a version on the replicas before anybody is answered by it."""
        self._stores, self._trainer, self._code_version = stores, trainer, code_version
        self._rollout, self._warm, self._tuner = rollout, warm, tuner or Untuned()

    def run(self, desk: JobDesk) -> JobState:
        """Learn from the newest round; PRELABELLING is next where another version serves then."""
        desk.check()
        started_at = desk.clock.now()
        try:
            outcome = self._learn(desk)
        except (TrainingFailed, ModelUnusable, ObjectMissing) as error:
            round_number = desk.job.progress.rounds
            desk.record("learn.failed", f"the live model stays: {error}", round=round_number)
            return JobState.ASKING
        seconds = max(desk.clock.now() - started_at, 0.0)
        desk.report(replace(desk.job.progress, training_s=seconds))
        _record(desk, outcome, seconds)
        return JobState.PRELABELLING if outcome.outdated else JobState.ASKING

    def _learn(self, desk: JobDesk) -> _Outcome:
        job = desk.job
        snapshot = build_snapshot(self._stores, job, job.progress.rounds)
        recipe = recipe_of(job.spec)
        default = TrainingPlan(snapshot=snapshot, recipe=recipe, seed=job.spec.seed)
        heed = partial(_heed, desk)
        allowance = _allowance(job, desk.clock.now())
        plan = self._tuner.tuned(job.model_name, default, allowance, heed)
        trained = self._trainer.fit(plan, heed)
        desk.check()
        verdict = judge_candidate(self._stores, snapshot, trained.judged_probabilities)
        decision, incumbent = verdict.decision, verdict.incumbent
        lineage = self._lineage(job, plan, incumbent)
        candidate = register(self._stores, job, trained, lineage, desk.clock.now())
        stage = Stage.REGISTERED
        if decision.promote:
            stage = self._admit(job, candidate, incumbent.version, decision, desk.clock.now())
        serving, _ = version_for(self._stores, job)
        return _Outcome(
            snapshot=snapshot,
            candidate=candidate,
            decision=decision,
            stage=stage,
            outdated=serving.spec.version != incumbent.version,
        )

    def _admit(
        self,
        job: Job,
        candidate: ModelRecord,
        over: int,
        decision: PromotionDecision,
        now: UnixSeconds,
    ) -> Stage:
        self._load(candidate.spec)
        reason = f"better than version {over} on {decision.n:,} items"
        why = Why(by=job.job_id, reason=reason, at=now, p_value=decision.p_value)
        version = candidate.spec.version
        return admit(self._stores, job.model_name, version, over, self._rollout, why)

    def _load(self, spec: ModelSpec) -> None:
        """Load a version on all replicas; raises ModelUnusable where they are lost over it."""
        for _ in range(LOADS_MAX):
            with suppress(Unavailable):
                self._warm(spec)
                return
        raise ModelUnusable(f"{spec.name} version {spec.version}", "replicas are lost over it")

    def _lineage(self, job: Job, plan: TrainingPlan, incumbent: Incumbent) -> Lineage:
        return Lineage(
            job_id=job.job_id,
            round=plan.snapshot.round,
            parent=incumbent.version,
            recipe=plan.recipe.name,
            snapshot_path=plan.snapshot.folder,
            snapshot_hash=plan.snapshot.hash,
            code_version=self._code_version,
            seed=plan.seed,
        )


def _heed(desk: JobDesk) -> None:
    """Raise what ends the job's training; a database that does not answer does not."""
    with suppress(Unavailable):
        desk.check()


def _allowance(job: Job, now: UnixSeconds) -> Allowance:
    """Return what the job may still use of its deadline and its money."""
    cost_max = job.agreed.budget.cost_max
    money = None if cost_max is None else max(0.0, cost_max - job.progress.cost)
    return Allowance(time_s=job.time_left_s(now), money=money)


def _record(desk: JobDesk, outcome: _Outcome, seconds: float) -> None:
    decision, version = outcome.decision, outcome.candidate.spec.version
    verdict = _VERDICTS.get(outcome.stage, f"not promoted, {decision.reason}")
    desk.record(
        "learn.done",
        f"version {version} learnt from {outcome.snapshot.train.rows:,} items: {verdict}",
        round=outcome.snapshot.round,
        seconds=seconds,
        train_items=outcome.snapshot.train.rows,
        judged_items=decision.n,
        candidate_score=decision.candidate_score,
        incumbent_score=decision.incumbent_score,
        p_value=decision.p_value,
        promoted=float(outcome.stage is Stage.LIVE),
        on_trial=float(outcome.stage in TRIALS),
        version=version,
    )
