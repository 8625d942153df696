"""What the trainings of a job's model line have told so far, read back from the registry."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from allocation.retraining import TRAINING_S, Past, Trained
from cluster.domain.jobs import Job
from cluster.domain.models import ModelRecord
from cluster.errors import JobNotFound
from cluster.ports import Stores
from cluster.runner import JobDesk

TRAININGS_MAX = 20
"""The newest trainings of a line that tell how its loss falls."""


def read_past(stores: Stores, desk: JobDesk, price_per_hour: float) -> Past:
    """Return the trainings of a job's line, whether or not their models went live.

    If the crowd has been waiting for a model, the job notes for how long: it waits no more.
    """
    _time_wait(desk)
    versions = stores.models.versions(desk.job.model_name)[-TRAININGS_MAX:]
    learning_s = desk.job.progress.learning_s
    return Past(
        trained=tuple(
            Trained(rows=int(each.metrics["train_items"]), log_loss=each.metrics["log_loss"])
            for each in versions
            if {"train_items", "log_loss"} <= each.metrics.keys()
        ),
        earlier_rows=sum(_rows_of(stores, desk.job, versions)),
        training_s=TRAINING_S if learning_s is None else learning_s,
        price_per_hour=price_per_hour,
    )


def _rows_of(stores: Stores, job: Job, versions: Sequence[ModelRecord]) -> Iterator[int]:
    """Yield about how many items each other job of a line can teach: those it has asked about."""
    trained = {each.lineage.job_id for each in versions if each.lineage is not None}
    for job_id in sorted(trained - {job.job_id}):
        with suppress(JobNotFound):
            yield stores.jobs.load(job_id).progress.asked


def _time_wait(desk: JobDesk) -> None:
    progress = desk.job.progress
    if progress.learning_since is not None:
        waited_s = max(desk.clock.now() - progress.learning_since, 0.0)
        desk.report(replace(progress, learning_since=None, learning_s=waited_s))
