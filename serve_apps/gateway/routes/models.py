"""The model lines of a tenant."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Response

from cluster.domain.ids import ModelName
from cluster.domain.lines import LineStep, Stage
from cluster.errors import ModelNotFound
from cluster.ports import ModelRegistry
from serve_apps.gateway import versions
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.acting import Acting
from serve_apps.gateway.etags import etag_of
from serve_apps.gateway.pages import Cursor, limit_of, row_of
from serve_apps.gateway.promoting import promoted, taken_back
from serve_apps.gateway.schemas.models import (
    LiveRequest,
    ModelPage,
    ModelView,
    RollbackRequest,
    StepPage,
    StepView,
    VersionList,
    VersionView,
    full_name,
    local_name,
    step_view,
    version_view,
)
from serve_apps.gateway.strict_json import StrictJsonRoute
from training.rollout import stages_of

HISTORY_STEPS = 1_000
"""Steps of a line that are looked at to tell where its versions stand."""

router = APIRouter(
    prefix="/v1/models",
    tags=["models"],
    dependencies=[Depends(require_role("client"))],
    route_class=StrictJsonRoute,
)

LocalName = Annotated[str, Path(max_length=200, pattern=r"^[A-Za-z0-9._-]+$")]
IfMatch = Annotated[str | None, Header()]


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
    """List a line's versions, oldest first, and where each stands."""
    stores, line = services.stores, full_name(caller.tenant_id, name)
    records = stores.models.versions(line)
    if not records:
        raise ModelNotFound(ModelName(name))
    history = stores.lines.history(line, None, HISTORY_STEPS)
    stages = stages_of(history, (record.spec.version for record in records))
    return VersionList(
        versions=tuple(version_view(record, stages[record.spec.version]) for record in records)
    )


@router.get("/{name}/live")
def live_version(
    name: LocalName, caller: Authenticated, services: Wired, response: Response
) -> VersionView:
    """Show the version that pre-labels now; the ETag stands for how the line stands."""
    record = versions.live_version(name, caller, services.stores)
    standing = services.stores.lines.standing(record.spec.name)
    response.headers["ETag"] = etag_of(standing.revision)
    return version_view(record, Stage.LIVE)


@router.get("/{name}/history")
def list_steps(
    name: LocalName,
    caller: Authenticated,
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    cursor: Cursor = None,
) -> StepPage:
    """List how a line came to its live version, newest first: who did what, when and why."""
    before = row_of(cursor) or None
    steps = services.stores.lines.history(full_name(caller.tenant_id, name), before, limit)
    if not steps and before is None:
        raise ModelNotFound(ModelName(name))
    more = len(steps) == limit and steps[-1].revision > 1
    return StepPage(
        steps=tuple(map(step_view, steps)),
        next_cursor=str(steps[-1].revision) if more else None,
    )


@router.post("/{name}/live")
async def make_live(
    name: LocalName,
    request: LiveRequest,
    actor: Acting,
    services: Wired,
    response: Response,
    if_match: IfMatch = None,
) -> StepView:
    """Make a version live, at any stage; whatever was on trial is not any more.

    Requests that have begun end by the version they began with. A version that is live already
    stays so, without another step. With If-Match or `expected_live` only if the line still stands
    as it was read (412).
    """
    return _told(await promoted(name, request, if_match, actor, services), response)


@router.post("/{name}/rollback")
async def roll_back(
    name: LocalName,
    request: RollbackRequest,
    actor: Acting,
    services: Wired,
    response: Response,
    if_match: IfMatch = None,
) -> StepView:
    """Make the version live again that was so before the live one.

    Repeated it goes back further: say `expected_live`, or If-Match, where a request may arrive
    twice (412). 409 where there is no earlier version.
    """
    return _told(await taken_back(name, request, if_match, actor, services), response)


def _told(step: LineStep, response: Response) -> StepView:
    response.headers["ETag"] = etag_of(step.revision)
    return step_view(step)


def _model_view(models: ModelRegistry, name: ModelName) -> ModelView:
    try:
        live: int | None = models.live(name).spec.version
    except ModelNotFound:
        live = None
    return ModelView(name=local_name(name), live_version=live)
