"""The model lines of a tenant."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from cluster.domain.ids import ModelName
from cluster.errors import ModelNotFound
from cluster.ports import ModelRegistry
from serve_apps.gateway import predicting
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.pages import Cursor, limit_of
from serve_apps.gateway.schemas.models import (
    ModelPage,
    ModelView,
    VersionList,
    VersionView,
    full_name,
    local_name,
    version_view,
)

router = APIRouter(
    prefix="/v1/models", tags=["models"], dependencies=[Depends(require_role("client"))]
)

LocalName = Annotated[str, Path(max_length=200, pattern=r"^[A-Za-z0-9._-]+$")]


@router.get("")
def list_models(
    caller: Authenticated,
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    cursor: Cursor = None,
) -> ModelPage:
    """List the tenant's model lines by name."""
    models = services.stores.models
    after = None if cursor is None else full_name(caller.tenant_id, cursor)
    names = models.names(f"{caller.tenant_id}/", after, limit)
    return ModelPage(
        models=tuple(_model_view(models, name) for name in names),
        next_cursor=local_name(names[-1]) if len(names) == limit else None,
    )


@router.get("/{name}/versions")
def list_versions(name: LocalName, caller: Authenticated, services: Wired) -> VersionList:
    """List a line's versions, oldest first."""
    line = full_name(caller.tenant_id, name)
    records = services.stores.models.versions(line)
    if not records:
        raise ModelNotFound(ModelName(name))
    return VersionList(versions=tuple(version_view(record) for record in records))


@router.get("/{name}/live")
def live_version(name: LocalName, caller: Authenticated, services: Wired) -> VersionView:
    """Show the version that pre-labels now."""
    return version_view(predicting.live_version(name, caller, services))


def _model_view(models: ModelRegistry, name: ModelName) -> ModelView:
    try:
        live: int | None = models.live(name).spec.version
    except ModelNotFound:
        live = None
    return ModelView(name=local_name(name), live_version=live)
