"""Models on the wire: a tenant sees its own lines only, under names without the tenant."""

from datetime import datetime

from cluster.domain.ids import ModelName, TenantId
from cluster.domain.items import Modality
from cluster.domain.models import ModelRecord
from serve_apps.gateway.schemas.base import Outgoing, utc


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
    """One immutable version of a model line; version 0 is zero-shot and has no lineage."""

    name: str
    version: int
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


def version_view(record: ModelRecord) -> VersionView:
    """Return a model version as the wire shows it."""
    spec = record.spec
    return VersionView(
        name=local_name(spec.name),
        version=spec.version,
        base_model=spec.base_model,
        modality=spec.modality,
        labels=spec.label_set.names,
        metrics=dict(record.metrics),
        lineage=record.lineage and LineageView.model_validate(record.lineage),
        created_at=utc(record.created_at),
    )
