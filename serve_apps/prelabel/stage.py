"""The pre-labelling stage of a job: every chunk by the live model, through a bounded window."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from cluster.clock import Clock
from cluster.domain.ids import UnixSeconds
from cluster.domain.jobs import Job, JobState
from cluster.domain.models import ZERO_SHOT, ModelRecord, ModelSpec
from cluster.errors import ModelNotFound, ModelUnusable, StaleRevision
from cluster.model_failures import forget_failures, join_errors, write_failures
from cluster.model_settings import PrelabelSettings
from cluster.ports import Stores
from cluster.runner import JobDesk
from serve_apps.prelabel.window import Window
from serve_apps.prelabel.work import BulkPredictor, ChunkWork, Dedicated, Finished, Flight
from training.lines import version_for
from training.rollout import SERVICE, Why, begun

CANCEL_CHECK_S = 1.0
"""How soon a cancelled job is noticed while no chunk finishes."""

POISON_NAMED_MAX = 10
"""How many poison items of one chunk are named in the job's history; the error file has all."""


class PrelabelStage:
    """Runs the state PRELABELLING; safe to run again from any point.

    The ledger is the memory: a chunk that the job's version has done is not done again, nor after
    the deadline one that any version has done. A job that asks for replicas of its own gets them,
    where there are any to be had; what they leave undone goes to the shared ones.
    """

    def __init__(
        self,
        stores: Stores,
        settings: PrelabelSettings,
        predictor: BulkPredictor,
        clock: Clock,
        dedicated: Dedicated | None = None,
    ) -> None:
        self._stores, self._settings, self._clock = stores, settings, clock
        self._predictor, self._dedicated = predictor, dedicated

    def run(self, desk: JobDesk) -> JobState:
        """Pre-label what is left of the job; raises JobCancelled, ModelUnusable, ObjectMissing."""
        started_at = self._clock.now()
        model, revision = model_for(self._stores, desk.job, started_at)
        left = self._left(desk, model)
        done, again = desk.job.progress.prelabelled, self._were_done(left)
        if desk.job.spec.dedicated and self._dedicated and left:
            self._fly(desk, self._dedicated(left), revision, again=again)
            left = self._left(desk, model)
        window = Window(self._predictor, left, self._settings.chunks_per_replica)
        self._fly(desk, window, revision, again=again)
        poisoned = join_errors(self._stores, desk.job.job_id)
        desk.report(replace(desk.job.progress, poisoned=poisoned))
        items = desk.job.progress.prelabelled - done
        self._summarize(desk, model, items, self._clock.now() - started_at)
        return JobState.ASKING

    def _fly(self, desk: JobDesk, flight: Flight, line_revision: int, *, again: bool) -> None:
        """Keep what a flight finishes, until it is over or the job is told to end.

        Where all chunks were pre-labelled before, and are done `again`, also until the deadline.
        """
        try:
            while not flight.is_empty and not (again and desk.job.is_late(self._clock.now())):
                self._keep(desk, flight.advance(CANCEL_CHECK_S), line_revision)
                desk.check()
        finally:
            flight.abandon()

    def _left(self, desk: JobDesk, model: ModelSpec) -> list[ChunkWork]:
        """Return the work to do, having set the job's progress to what is done.

        Large chunks come first, so that small ones are left to even out the replicas' ends.
        """
        job_id = desk.job.job_id
        any_version = desk.job.is_late(self._clock.now())
        predicted = {
            prediction.number
            for prediction in self._stores.chunks.predictions(job_id)
            if any_version or prediction.model_version == model.version
        }
        chunks = self._stores.chunks.chunks(job_id)
        progress = replace(
            desk.job.progress,
            prelabelled=sum(chunk.rows for chunk in chunks if chunk.number in predicted),
            poisoned=desk.job.progress.poisoned if predicted else 0,
        )
        desk.report(progress)
        left = [chunk for chunk in chunks if chunk.number not in predicted]
        forget_failures(self._stores.objects, left, model.version)
        largest_first = sorted(left, key=lambda chunk: -chunk.rows)
        return [ChunkWork(chunk=chunk, model=model) for chunk in largest_first]

    def _were_done(self, works: Sequence[ChunkWork]) -> bool:
        """Whether some version has pre-labelled every one of these chunks."""
        if not works:
            return True
        predictions = self._stores.chunks.predictions(works[0].chunk.job_id)
        return {work.chunk.number for work in works} <= {each.number for each in predictions}

    def _keep(self, desk: JobDesk, finished: Iterable[Finished], line_revision: int) -> None:
        """Record finished chunks, in one write each to the ledger and to the job."""
        kept = list(finished)
        if not kept:
            return
        for each in kept:
            poison, version = each.outcome.poison, each.work.model.version
            write_failures(self._stores.objects, each.work.chunk, version, poison)
            _record_poison(desk, each)
        predictions = [each.outcome.prediction(each.work, line_revision) for each in kept]
        self._stores.chunks.set_predicted(predictions)
        progress = desk.job.progress
        desk.report(
            replace(
                progress,
                prelabelled=progress.prelabelled + sum(each.outcome.rows for each in kept),
                poisoned=progress.poisoned + sum(len(each.outcome.poison) for each in kept),
            )
        )

    def _summarize(self, desk: JobDesk, model: ModelSpec, items: int, seconds: float) -> None:
        desk.record(
            "prelabel.done",
            f"{items:,} items pre-labelled by version {model.version} of {model.name}",
            items=items,
            seconds=seconds,
            items_per_s=items / seconds if seconds > 0 else 0.0,
            model_version=model.version,
        )


def model_for(stores: Stores, job: Job, now: UnixSeconds) -> tuple[ModelSpec, int]:
    """Return the version that serves a job, beginning its line at zero-shot, and the revision.

    The labels are the job's own: jobs that share a line may describe them differently. Raises
    ModelUnusable where the line is for other labels.
    """
    try:
        record, revision = version_for(stores, job)
    except ModelNotFound:
        _begin_line(stores, job, now)
        record, revision = version_for(stores, job)
    spec = record.spec
    if spec.label_set.names != job.spec.label_set.names:
        raise ModelUnusable(f"{spec.name} version {spec.version}", "it is for other labels")
    return replace(spec, label_set=job.spec.label_set), revision


def _begin_line(stores: Stores, job: Job, now: UnixSeconds) -> None:
    zero_shot = ModelSpec(
        name=job.model_name,
        version=ZERO_SHOT,
        base_model=job.spec.base_model,
        modality=job.spec.modality,
        label_set=job.spec.label_set,
        weights_path=None,
    )
    stores.models.add(ModelRecord(spec=zero_shot, lineage=None, created_at=now))
    why = Why(by=SERVICE, reason="every line begins at zero-shot", at=now)
    with suppress(StaleRevision):  # another job of this line was first
        stores.lines.take(begun(job.model_name, ZERO_SHOT, why))


def _record_poison(desk: JobDesk, finished: Finished) -> None:
    poison = finished.outcome.poison
    if not poison:
        return
    named = "; ".join(f"{row.item_id}: {row.detail}" for row in poison[:POISON_NAMED_MAX])
    desk.record(
        "prelabel.poison",
        named,
        items=len(poison),
        first_position=poison[0].line - 1,
        chunk=finished.outcome.chunk,
    )
