"""The routes that Label Studio calls of a machine learning backend."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from cluster.domain.models import ModelSpec
from cluster.errors import InvalidField
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.adapters.dialects import Dialect, Refusal
from serve_apps.gateway.adapters.foreign import Foreign
from serve_apps.gateway.adapters.label_studio.configs import Choice, choice_of
from serve_apps.gateway.predicting import predicted
from serve_apps.gateway.schemas.base import Problem
from serve_apps.gateway.schemas.job_request import ItemBody
from serve_apps.gateway.schemas.predictions import PredictionView
from serve_apps.gateway.strict_json import StrictJsonRoute
from serve_apps.gateway.versions import live_version, resolved

PREFIX = "/label-studio"

router = APIRouter(
    prefix=f"{PREFIX}/{{line}}",
    dependencies=[Depends(require_role("client"))],
    route_class=StrictJsonRoute,
)

Line = Annotated[str, Path(max_length=200, pattern=r"^[A-Za-z0-9._-]+$")]
Json = Mapping[str, object]

_HEARD = frozenset(
    {"ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATION_DELETED", "START_TRAINING"}
)


class Setup(Foreign):
    """A project that is connected: its labelling interface."""

    label_schema: str = Field(alias="schema")


class Task(Foreign):
    """A task of a project."""

    id: int | str | None = None
    data: dict[str, object]


class Asked(Foreign):
    """Tasks to predict, and the interface that they are shown in."""

    tasks: list[Task]
    label_config: str


class Event(Foreign):
    """Something that happened in a project."""

    action: str


@router.get("")
@router.get("/")
@router.get("/health")
def health(line: Line, caller: Authenticated, services: Wired) -> Json:
    """Say that the line has a live version."""
    live_version(line, caller, services.stores)
    return {"status": "UP", "model_class": line}


@router.get("/metrics")
async def metrics() -> Json:
    """Tell no metrics; the service's own are elsewhere."""
    return {}


@router.post("/setup")
def setup(line: Line, request: Setup, caller: Authenticated, services: Wired) -> Json:
    """Check that the interface fits the line, and name its live version."""
    spec = live_version(line, caller, services.stores).spec
    choice_of(request.label_schema, "schema", spec)
    return {"model_version": _version(line, spec.version)}


@router.post("/predict")
async def predict(line: Line, request: Asked, caller: Authenticated, services: Wired) -> Json:
    """Predict every task, in order, all by one version of the line.

    A task without content, which people are shown as they are, has a prediction of nothing.
    """
    versions = await run_in_threadpool(resolved, line, caller, services.stores)
    spec = versions.live
    choice = choice_of(request.label_config, "label_config", spec)
    asked = [_item(number, task, choice, spec) for number, task in enumerate(request.tasks)]
    items = [item for item in asked if item is not None]
    if not items:
        return {"results": [_nothing(_version(line, spec.version)) for _ in asked]}
    found = await predicted(line, versions, items, services)
    version, predictions = _version(line, found.model_version), iter(found.predictions)
    return {
        "results": [
            _nothing(version) if item is None else _prediction(next(predictions), choice, version)
            for item in asked
        ]
    }


@router.post("/webhook")
async def webhook(request: Event, response: Response) -> Json:
    """Take note of an event, and nothing more.

    An annotation made elsewhere holds no lease on an item, so it cannot be stored as an answer.
    """
    if request.action not in _HEARD:
        return {"status": "Unknown event"}
    response.status_code = 201
    return {"result": {"stored": False}, "status": "ok"}


def _item(number: int, task: Task, choice: Choice, spec: ModelSpec) -> ItemBody | None:
    """Return a task's item, None where it has none; raises InvalidField."""
    content = task.data.get(choice.data_key)
    if not (isinstance(content, str) and content.strip()):
        return None
    if spec.modality == "text":
        return ItemBody(id=number, text=content)
    if not content.startswith("data:"):
        name = task.id if task.id is not None else number
        reason = f"of task {name} must be a data: URI; images elsewhere are not fetched"
        raise InvalidField(f"tasks.{number}.data.{choice.data_key}", reason)
    return ItemBody(id=number, image=content)


def _prediction(found: PredictionView, choice: Choice, version: str) -> Json:
    region = {
        "id": f"choice-{found.id}",
        "from_name": choice.from_name,
        "to_name": choice.to_name,
        "type": "choices",
        "value": {"choices": [found.label]},
        "score": found.probability,
    }
    return {"result": [region], "score": found.probability, "model_version": version}


def _nothing(version: str) -> Json:
    return {"result": [], "score": 0.0, "model_version": version}


def _version(line: str, version: int) -> str:
    return f"{line}-v{version}"


def _refusal(problem: Problem) -> Refusal:
    return Refusal(problem.status, {"error": problem.detail})


DIALECT = Dialect(prefix=PREFIX, refusal=_refusal, scheme="basic")
