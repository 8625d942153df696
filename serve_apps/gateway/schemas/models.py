"""Models on the wire: a tenant sees its own lines only, under names without the tenant."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from cluster.domain.ids import ModelName, TenantId
from cluster.domain.items import Modality
from cluster.domain.lines import LineStep, Stage
from cluster.domain.models import ModelRecord
from serve_apps.gateway.schemas.base import Incoming, Outgoing, Prose, utc

Version = Annotated[int, Field(ge=0, lt=2**31)]
"""A version's number in its line."""


class LiveRequest(Incoming):
    """Which version is to be live; with `expected_live` only if that one is now."""

    version: Version
    expected_live: Version | None = None
    reason: Prose = ""


class RollbackRequest(Incoming):
    """A wish for the version before the live one; with `expected_live` only if that is live now."""

    expected_live: Version | None = None
    reason: Prose = ""


class StepView(Outgoing):
    """A step in a line's history: `version` entered `stage`, and `live` has been live since.

    `over` was live before, null at the beginning. `by` is who took the step, a job, a key or the
    service itself, and `p_value` that of the test that led to it, null where nobody tested.
    """

    name: str
    revision: int
    version: int
    stage: Stage
    over: int | None
    live: int
    by: str
    reason: str
    p_value: float | None
    at: datetime


class StepPage(Outgoing):
    """Steps of a line, newest first; `next_cursor` is null on the last page."""

    steps: tuple[StepView, ...]
    next_cursor: str | None


class LineageView(Outgoing):
    """Where a version came from."""

    job_id: str
    round: int
    parent: int
    recipe: str
    snapshot_hash: str
    code_version: str
    seed: int


class VersionView(Outgoing):
    """One immutable version of a model line; version 0 is zero-shot and has no lineage.

    `stage` is where it stands in its line now.
    """

    name: str
    version: int
    stage: Stage
    base_model: str
    modality: Modality
    labels: tuple[str, ...]
    metrics: dict[str, float]
    lineage: LineageView | None
    created_at: datetime


class VersionList(Outgoing):
    """All versions of a line, oldest first."""

    versions: tuple[VersionView, ...]


class ModelView(Outgoing):
    """A model line and which of its versions is live, null where none is yet."""

    name: str
    live_version: int | None


class ModelPage(Outgoing):
    """Model lines by name; `next_cursor` is null on the last page."""

    models: tuple[ModelView, ...]
    next_cursor: str | None


def local_name(name: ModelName) -> str:
    """Return a line's name as its tenant sees it."""
    return name.partition("/")[2]


def full_name(tenant_id: TenantId, name: str) -> ModelName:
    """Return the registry's name of a line; no local name can reach another tenant's lines."""
    return ModelName(f"{tenant_id}/{name}")


def version_view(record: ModelRecord, stage: Stage) -> VersionView:
    """Return a model version as the wire shows it."""
    spec = record.spec
    return VersionView(
        name=local_name(spec.name),
        version=spec.version,
        stage=stage,
        base_model=spec.base_model,
        modality=spec.modality,
        labels=spec.label_set.names,
        metrics=dict(record.metrics),
        lineage=record.lineage and LineageView.model_validate(record.lineage),
        created_at=utc(record.created_at),
    )


def step_view(step: LineStep) -> StepView:
    """Return a step of a line's history as the wire shows it."""
    return StepView(
        name=local_name(step.name),
        revision=step.revision,
        version=step.version,
        stage=step.stage,
        over=step.over,
        live=step.live,
        by=step.by,
        reason=step.reason,
        p_value=step.p_value,
        at=utc(step.at),
    )
