"""Chat completions that ask for one label now, by a model line."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends
from fastapi.concurrency import run_in_threadpool

from cluster.errors import InvalidField
from ingest.openai_batch import ENDPOINT, ChatRequest, read_request
from ingest.rows import Problem
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.adapters.openai.answers import completion
from serve_apps.gateway.adapters.openai.refusals import PREFIX
from serve_apps.gateway.predicting import predicted
from serve_apps.gateway.schemas.job_request import ItemBody
from serve_apps.gateway.strict_json import StrictJsonRoute
from serve_apps.gateway.versions import Resolved, resolved

router = APIRouter(
    prefix=f"{PREFIX}/chat/completions",
    dependencies=[Depends(require_role("client"))],
    route_class=StrictJsonRoute,
)


@router.post("")
async def create_completion(
    body: Annotated[dict[str, object], Body()], caller: Authenticated, services: Wired
) -> dict[str, object]:
    """Label the last message by the live version of the line that `model` names."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidField("model", "must name a model line")
    asked = _asked(body)
    versions = await run_in_threadpool(resolved, model, caller, services.stores)
    _check_labels(asked, model, versions)
    found = await predicted(model, versions, [ItemBody(id=0, text=asked.text)], services)
    (prediction,) = found.predictions
    known = prediction.model_dump(exclude={"id"})
    return completion(
        services.new_id(),
        created_at=services.clock.now(),
        model=model,
        label_field=asked.question.label_field,
        known={**known, "decided_by": "model", "model_version": found.model_version},
    )


def _asked(body: dict[str, object]) -> ChatRequest:
    request = read_request({"method": "POST", "url": ENDPOINT, "body": body})
    if isinstance(request, Problem):
        field = request.field or "body"
        reason = request.detail.removeprefix(f"{field} ")
        raise InvalidField(field.removeprefix("body."), reason)
    return request


def _check_labels(asked: ChatRequest, model: str, versions: Resolved) -> None:
    """Raise InvalidField where labels are named and are not those of the line."""
    names = versions.live.label_set.names
    if asked.question.labels and set(asked.question.labels) != set(names):
        raise InvalidField("response_format", f"names other labels than {model} has")
