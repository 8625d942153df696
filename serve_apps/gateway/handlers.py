"""Turns every exception that leaves a route into a problem document."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from cluster.errors import Fault, MalformedBody, MusterError
from serve_apps.gateway.inert import HEADERS
from serve_apps.gateway.problems import (
    internal_problem,
    invalid_request,
    pointer_to,
    problem_of,
    problem_response,
    status_problem,
)
from serve_apps.gateway.schemas.base import FieldError

ERRORS_SHOWN_MAX = 50

_log = logging.getLogger(__name__)


def add_handlers(app: FastAPI) -> None:
    """Register the handlers; from then on the app answers errors with problem documents only."""
    app.add_exception_handler(MusterError, _muster_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _disconnected)
    app.add_exception_handler(Exception, _unforeseen)


async def _muster_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, MusterError):
        raise TypeError(type(error).__name__)
    if isinstance(error, Fault):
        _log.error("%s %s met a fault", request.method, request.url.path, exc_info=error)
    return problem_response(problem_of(error, request.url.path))


async def _validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise TypeError(type(error).__name__)
    shown = tuple(field_error(one) for one in error.errors()[:ERRORS_SHOWN_MAX])
    return problem_response(invalid_request(shown, request.url.path))


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(type(error).__name__)
    if error.status_code == HTTPStatus.NO_CONTENT:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    response = problem_response(status_problem(error.status_code, request.url.path))
    response.headers.update(error.headers or {})
    return response


async def _disconnected(request: Request, error: Exception) -> Response:
    del error
    broken = MalformedBody("the connection closed before the body was complete")
    return problem_response(problem_of(broken, request.url.path))


async def _unforeseen(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    response = problem_response(internal_problem(request.url.path))
    response.headers.update(HEADERS)  # for this handler stands outside of all middleware
    return response


def field_error(error: Mapping[str, Any]) -> FieldError:
    """Return one validation error of pydantic as the wire shows it."""
    place: Sequence[str | int] = error["loc"]
    detail = str(error["msg"]).removeprefix("Value error, ")
    if place[0] == "body":
        return FieldError(detail=detail, pointer=pointer_to(*place[1:]))
    return FieldError(detail=detail, parameter=str(place[-1]))


def bad_parameter(place: Literal["query", "header"], name: str, reason: str) -> Exception:
    """Return the error of a query or header parameter whose value is not allowed."""
    return RequestValidationError([{"type": "value_error", "loc": (place, name), "msg": reason}])
