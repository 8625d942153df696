"""Moves versions along their model lines: reads how a line stands, and takes the next step."""

import math

from cluster.domain.audit import Act
from cluster.domain.ids import JobId, ModelName, TenantId, UnixSeconds
from cluster.domain.jobs import Job, JobEvent
from cluster.domain.lines import LineStep, Stage
from cluster.domain.models import ModelRecord
from cluster.errors import ModelNotFound, StaleRevision
from cluster.model_settings import RolloutSettings
from cluster.ports import Stores
from cluster.tenant_errors import NoEarlierVersion
from training.rollout import Why, entered, first_stage, rolled_back

STEPS_MAX = 100
"""A rollback is looked for among so many steps of a line, the newest."""


def version_for(stores: Stores, job: Job) -> tuple[ModelRecord, int]:
    """Return the version that pre-labels a job now, and the revision of its line that says so.

    It is the live one; but a version on trial already serves the job that trained it, for its gate
    was passed on a random sample of that very job's items. Raises ModelNotFound.
    """
    standing = stores.lines.standing(job.model_name)
    if standing.candidate is not None:
        candidate = stores.models.get(job.model_name, standing.candidate)
        if candidate.lineage is not None and candidate.lineage.job_id == job.job_id:
            return candidate, standing.revision
    return stores.models.get(job.model_name, standing.live), standing.revision


class RollbackWatch:
    """Tells whether the version that a job was pre-labelled by has been rolled back since.

    All it asks again and again is whether the line has taken a step.
    """

    def __init__(self, stores: Stores, job: Job) -> None:
        self._stores, self._job = stores, job
        self._revision, self._found = 0, False

    def __call__(self) -> bool:
        """Return whether another version is to pre-label the job for that reason."""
        try:
            standing = self._stores.lines.standing(self._job.model_name)
        except ModelNotFound:
            return False
        if standing.revision != self._revision:
            self._revision, self._found = standing.revision, self._look()
        return self._found

    def _look(self) -> bool:
        said = self._stores.chunks.predictions(self._job.job_id)
        if not said:
            return False
        version = min(said, key=lambda each: each.line_revision).model_version
        serving, _ = version_for(self._stores, self._job)
        steps = self._stores.lines.history(self._job.model_name, None, STEPS_MAX)
        newest = next((step for step in steps if step.version == version), None)
        is_back = newest is not None and newest.stage is Stage.ROLLED_BACK
        return is_back and serving.spec.version != version


def admit(
    stores: Stores,
    name: ModelName,
    version: int,
    over: int,
    settings: RolloutSettings,
    why: Why,
) -> Stage:
    """Let a version that has beaten `over` enter its line, and return where it stands then.

    It stays registered where the line has gone on since and `over` is neither the candidate nor,
    without one, the live version: the comparison does not speak of those.
    """
    while True:
        standing = stores.lines.standing(name)
        if version == standing.live:
            return Stage.LIVE
        if version == standing.candidate:
            return standing.stage
        newest = standing.live if standing.candidate is None else standing.candidate
        if over != newest:
            return Stage.REGISTERED
        stage = first_stage(settings, why.at, asked_at(stores, name))
        try:
            step = entered(standing, version, stage, why)
            stores.lines.take(step, (), _act(step))
        except StaleRevision:
            continue
        return stage


def make_live(
    stores: Stores, standing: LineStep, version: int, why: Why, act: Act | None = None
) -> LineStep:
    """Make a version live and return the newest step; one that is live already changes nothing.

    Raises StaleRevision where the line has gone on since, and ModelNotFound.
    """
    if version == standing.live:
        return standing
    step = entered(standing, version, Stage.LIVE, why)
    take(stores, step, act)
    return step


def roll_back(stores: Stores, standing: LineStep, why: Why, act: Act | None = None) -> LineStep:
    """Make the version live again that was so before the live one, and return the step.

    Raises StaleRevision where the line has gone on since, and NoEarlierVersion.
    """
    before = version_before(stores, standing)
    if before is None:
        raise NoEarlierVersion(standing.name, standing.live)
    step = rolled_back(standing, before, why)
    take(stores, step, act)
    return step


def take(stores: Stores, step: LineStep, act: Act | None = None) -> None:
    """Take a step and tell of it in the history of the job that trained the version.

    The audit log tells of it as of `act`, or of what the service did by itself.
    """
    lineage = stores.models.get(step.name, step.version).lineage
    events = [] if lineage is None else [_event(lineage.job_id, step)]
    stores.lines.take(step, events, act or _act(step))


def version_before(stores: Stores, standing: LineStep) -> int | None:
    """Return the version that was live before the live one came, None where there is none."""
    return stores.lines.came_live(standing.name, standing.live).over


def asked_at(stores: Stores, name: ModelName) -> UnixSeconds:
    """Return when a line was last asked online, before all time where it never was."""
    return max((seen.last_at for seen in stores.traffic.of(name)), default=-math.inf)


def _act(step: LineStep) -> Act:
    return Act(
        at=step.at,
        tenant_id=TenantId(step.name.partition("/")[0]),
        actor=step.by,
        action=f"model.{step.stage}",
        subject=f"{step.name} version {step.version}",
    )


def _event(job_id: JobId, step: LineStep) -> JobEvent:
    kind = "promoted" if step.stage is Stage.LIVE else str(step.stage)
    figures = {"version": float(step.version), "live": float(step.live)}
    if step.p_value is not None:
        figures["p_value"] = step.p_value
    return JobEvent(
        job_id=job_id,
        kind=f"model.{kind}",
        at=step.at,
        message=f"version {step.version}: {step.reason}; version {step.live} is live",
        figures=figures,
    )
