"""The learning stage of a job: train on the newest consensus, and promote what is better."""

from dataclasses import dataclass

from cluster.domain.jobs import Job, JobState
from cluster.domain.models import Lineage, ModelRecord
from cluster.errors import ModelUnusable, ObjectMissing, TrainingFailed
from cluster.ports import Stores
from cluster.runner import JobDesk
from training.building import build_snapshot
from training.consensus import audit_weights
from training.incumbent import Incumbent, incumbent_on
from training.plan import Trainer, TrainingPlan
from training.promotion import PromotionDecision, decide
from training.recipes import recipe_for
from training.registry import promote, register
from training.snapshot import Snapshot, read_audit


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """How a round of learning ended; `promoted` tells whether the candidate is live now.

    `outdated` tells that the live model is newer than the job's pre-labels, whoever promoted it.
    """

    snapshot: Snapshot
    candidate: ModelRecord
    decision: PromotionDecision
    promoted: bool
    outdated: bool


class LearnStage:
    """Runs the state LEARNING; safe to run again from any point.

    Snapshot, run and version all carry the round's name, so that a second run finds what the
    first one made. Whatever goes wrong, the live model stays and the job goes on asking.
    """

    def __init__(self, stores: Stores, trainer: Trainer, code_version: str) -> None:
        self._stores, self._trainer, self._code_version = stores, trainer, code_version

    def run(self, desk: JobDesk) -> JobState:
        """Learn from the newest round; PRELABELLING is next where a newer model is live then."""
        desk.check()
        started_at = desk.clock.now()
        try:
            outcome = self._learn(desk)
        except (TrainingFailed, ModelUnusable, ObjectMissing) as error:
            round_number = desk.job.progress.rounds
            desk.record("learn.failed", f"the live model stays: {error}", round=round_number)
            return JobState.ASKING
        _record(desk, outcome, desk.clock.now() - started_at)
        return JobState.PRELABELLING if outcome.outdated else JobState.ASKING

    def _learn(self, desk: JobDesk) -> _Outcome:
        job, models = desk.job, self._stores.models
        snapshot = build_snapshot(self._stores, job, job.progress.rounds)
        recipe = recipe_for(job.spec.modality, job.spec.base_model)
        plan = TrainingPlan(snapshot=snapshot, recipe=recipe, seed=job.spec.seed)
        trained = self._trainer.fit(plan)
        desk.check()
        audit = read_audit(self._stores.objects, snapshot)
        incumbent = incumbent_on(self._stores, job.job_id, audit.positions, len(snapshot.labels))
        decision = decide(
            incumbent.probabilities,
            trained.audit_probabilities,
            audit.posterior,
            weights=audit_weights(self._stores.objects, job.job_id, audit.positions),
        )
        lineage = self._lineage(job, plan, incumbent)
        candidate = register(self._stores, job, trained, lineage, desk.clock.now())
        version = candidate.spec.version
        promoted = decision.promote and promote(
            models, job.model_name, version, over=incumbent.version
        )
        return _Outcome(
            snapshot=snapshot,
            candidate=candidate,
            decision=decision,
            promoted=promoted,
            outdated=models.live(job.model_name).spec.version > incumbent.version,
        )

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


def _record(desk: JobDesk, outcome: _Outcome, seconds: float) -> None:
    decision, version = outcome.decision, outcome.candidate.spec.version
    verdict = "promoted" if outcome.promoted else f"not promoted, {decision.reason}"
    desk.record(
        "learn.done",
        f"version {version} learnt from {outcome.snapshot.train.rows:,} items: {verdict}",
        round=outcome.snapshot.round,
        seconds=seconds,
        train_items=outcome.snapshot.train.rows,
        audit_items=decision.n,
        candidate_score=decision.candidate_score,
        incumbent_score=decision.incumbent_score,
        p_value=decision.p_value,
        promoted=float(outcome.promoted),
        version=version,
    )
