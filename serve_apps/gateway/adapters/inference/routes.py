"""The routes of the Open Inference Protocol 2: health, metadata, inference."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from cluster.domain.access import Caller
from cluster.domain.ids import ModelName
from cluster.domain.models import ModelSpec
from cluster.errors import ModelNotFound
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.adapters.dialects import Dialect, Refusal
from serve_apps.gateway.adapters.inference.tensors import items_of, read_request
from serve_apps.gateway.predicting import predicted
from serve_apps.gateway.schemas.base import Problem
from serve_apps.gateway.schemas.job_request import CONTENT_FIELDS
from serve_apps.gateway.schemas.predictions import PredictionList
from serve_apps.gateway.services import Services
from serve_apps.gateway.versions import Resolved, live_version, resolved

PREFIX = "/inference"
NAME, VERSION = "muster", "1"

router = APIRouter(prefix=f"{PREFIX}/v2", dependencies=[Depends(require_role("client"))])

LineName = Annotated[str, Path(max_length=200, pattern=r"^[A-Za-z0-9._-]+$")]
Version = Annotated[int, Path(ge=0, lt=2**31)]
HeaderLength = Annotated[str | None, Header(alias="Inference-Header-Content-Length")]

Json = Mapping[str, object]


@router.get("")
async def server() -> Json:
    """Say who serves."""
    return {"name": NAME, "version": VERSION, "extensions": ["binary_tensor_data"]}


@router.get("/health/live")
async def live() -> Json:
    """Say that this gateway lives."""
    return {"live": True}


@router.get("/health/ready")
def ready(services: Wired) -> Response:
    """Say whether every part of the service answers; 503 where one does not."""
    is_ready = not services.readiness()
    return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)


@router.get("/models/{name}")
def model(name: LineName, caller: Authenticated, services: Wired) -> Json:
    """Describe the live version of a line: what it takes and what it gives."""
    return _described(name, _spec(name, None, caller, services))


@router.get("/models/{name}/versions/{version}")
def model_version(name: LineName, version: Version, caller: Authenticated, services: Wired) -> Json:
    """Describe a version, which must be the live one."""
    return _described(name, _spec(name, version, caller, services))


@router.get("/models/{name}/ready")
def model_ready(name: LineName, caller: Authenticated, services: Wired) -> Json:
    """Say that a line has a live version."""
    _spec(name, None, caller, services)
    return {"name": name, "ready": True}


@router.get("/models/{name}/versions/{version}/ready")
def version_ready(name: LineName, version: Version, caller: Authenticated, services: Wired) -> Json:
    """Say that a version is the live one."""
    _spec(name, version, caller, services)
    return {"name": name, "ready": True}


@router.post("/models/{name}/infer")
async def infer(
    request: Request,
    name: LineName,
    caller: Authenticated,
    services: Wired,
    header_length: HeaderLength = None,
) -> Json:
    """Label the items of a tensor, or of two, by the live version of a line."""
    return await _inferred(request, name, None, caller, services, header_length)


@router.post("/models/{name}/versions/{version}/infer")
async def infer_by_version(
    request: Request,
    name: LineName,
    version: Version,
    caller: Authenticated,
    services: Wired,
    header_length: HeaderLength = None,
) -> Json:
    """Label the items of a tensor by a version, which must be the live one."""
    return await _inferred(request, name, version, caller, services, header_length)


async def _inferred(
    request: Request,
    name: str,
    version: int | None,
    caller: Caller,
    services: Services,
    header_length: str | None,
) -> Json:
    asked, binary = read_request(await request.body(), header_length)
    versions = await run_in_threadpool(_versions, name, version, caller, services)
    items = items_of(asked.inputs, binary, versions.live.modality)
    found = await predicted(name, versions, items, services)
    wanted = {output.name for output in asked.outputs}
    outputs = [each for each in _outputs(found) if not wanted or each["name"] in wanted]
    answer = {"model_name": name, "model_version": str(found.model_version), "outputs": outputs}
    return answer if asked.id is None else {**answer, "id": asked.id}


def _versions(name: str, version: int | None, caller: Caller, services: Services) -> Resolved:
    """Return what may answer: where a version is asked for, that one and no candidate."""
    if version is None:
        return resolved(name, caller, services.stores)
    return Resolved(live=_spec(name, version, caller, services))


def _spec(name: str, version: int | None, caller: Caller, services: Services) -> ModelSpec:
    """Return a line's live version; raises ModelNotFound, also where another version is asked."""
    spec = live_version(name, caller, services.stores).spec
    if version not in (None, spec.version):
        raise ModelNotFound(ModelName(name), version)
    return spec


def _described(name: str, spec: ModelSpec) -> Json:
    return {
        "name": name,
        "versions": [str(spec.version)],
        "platform": NAME,
        "inputs": [
            {"name": field, "datatype": "BYTES", "shape": [-1]}
            for field in CONTENT_FIELDS[spec.modality]
        ],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "score", "datatype": "FP32", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(spec.label_set)]},
        ],
        "parameters": {"labels": list(spec.label_set.names)},
    }


def _outputs(found: PredictionList) -> list[dict[str, object]]:
    predictions = found.predictions
    count, labels = len(predictions), len(predictions[0].probabilities)
    flat = [share for each in predictions for share in each.probabilities.values()]
    return [
        _tensor("label", "BYTES", [count], [each.label for each in predictions]),
        _tensor("score", "FP32", [count], [each.probability for each in predictions]),
        _tensor("probabilities", "FP32", [count, labels], flat),
    ]


def _tensor(
    name: str, datatype: str, shape: Sequence[int], data: Sequence[object]
) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def _refusal(problem: Problem) -> Refusal:
    return Refusal(problem.status, {"error": problem.detail})


DIALECT = Dialect(prefix=PREFIX, refusal=_refusal)
