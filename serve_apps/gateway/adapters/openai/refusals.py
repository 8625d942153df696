"""Problems as OpenAI tells of errors."""

from collections.abc import Mapping
from types import MappingProxyType

from serve_apps.gateway.adapters.dialects import Dialect, Refusal
from serve_apps.gateway.schemas.base import Problem

PREFIX = "/openai/v1"

_CODES: Mapping[int, str] = MappingProxyType(
    {401: "invalid_api_key", 404: "not_found", 429: "rate_limit_exceeded"}
)


def _refusal(problem: Problem) -> Refusal:
    # What is 422 here is 400 there; their clients tell the two apart by class.
    status = 400 if problem.status == 422 else problem.status
    first = problem.errors[0] if problem.errors else None
    param = None if first is None else (first.parameter or _dotted(first.pointer))
    error = {
        "message": problem.detail,
        "type": "invalid_request_error" if status < 500 else "server_error",
        "param": param,
        "code": _CODES.get(status, problem.type.rpartition(":")[2].replace("-", "_")),
    }
    return Refusal(status, {"error": error})


def _dotted(pointer: str | None) -> str | None:
    return None if pointer is None else pointer.removeprefix("#/").replace("/", ".")


DIALECT = Dialect(prefix=PREFIX, refusal=_refusal)
