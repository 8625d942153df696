"""A few labels at once, by the model replicas that also do the bulk work."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.concurrency import run_in_threadpool

from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.predicting import predicted
from serve_apps.gateway.schemas.predictions import PredictionList, PredictionRequest
from serve_apps.gateway.strict_json import StrictJsonRoute
from serve_apps.gateway.versions import resolved

router = APIRouter(
    prefix="/v1/models",
    tags=["models"],
    dependencies=[Depends(require_role("client"))],
    route_class=StrictJsonRoute,
)

LocalName = Annotated[str, Path(max_length=200, pattern=r"^[A-Za-z0-9._-]+$")]


@router.post("/{name}/predictions")
async def predict(
    name: LocalName, request: PredictionRequest, caller: Authenticated, services: Wired
) -> PredictionList:
    """Label a few items by the live version of a model line, or by one that is about to be live.

    Which it was is in the answer, and is the same for all items of a request.
    They go ahead of bulk work on the same replicas. An item the model cannot handle gets every
    label with the same probability.
    """
    versions = await run_in_threadpool(resolved, name, caller, services.stores)
    return await predicted(name, versions, request.items, services)
