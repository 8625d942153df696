"""Builds the HTTP API as a plain FastAPI app from its services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI

from serve_apps.gateway.access import require_key
from serve_apps.gateway.adapters.dialects import Dialects
from serve_apps.gateway.adapters.inference import routes as inference
from serve_apps.gateway.adapters.label_studio import routes as label_studio
from serve_apps.gateway.adapters.openai import batches, chat, files
from serve_apps.gateway.adapters.openai.files import FILES
from serve_apps.gateway.adapters.openai.refusals import DIALECT as OPENAI
from serve_apps.gateway.bounds import BodyBounds
from serve_apps.gateway.feed import EventFeed
from serve_apps.gateway.gate import KeyGate
from serve_apps.gateway.handlers import add_handlers
from serve_apps.gateway.inert import InertAnswers
from serve_apps.gateway.known_keys import KnownKeys
from serve_apps.gateway.measured import Measured
from serve_apps.gateway.problems import PROBLEM_MEDIA_TYPE
from serve_apps.gateway.resumable import ResumableUploads
from serve_apps.gateway.routes import (
    assignments,
    audit,
    health,
    jobs,
    keys,
    models,
    predictions,
    quotas,
    results,
    streams,
    uploads,
    webhooks,
    workers,
)
from serve_apps.gateway.routes.uploads import UPLOADS
from serve_apps.gateway.services import Services
from serve_apps.gateway.slots import UploadSlots
from serve_apps.gateway.throttle import Throttle
from serve_apps.gateway.tus_answers import TusAnswers
from serve_apps.gateway.whole_uploads import WholeUploads

DIALECTS = (OPENAI, inference.DIALECT, label_studio.DIALECT)
"""The protocols of others that are spoken here."""

_PROBLEM = {
    "description": "A problem document (RFC 9457)",
    "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
# The schema itself is among the components because answers are refused with problems too.
_RESPONSES: dict[int | str, dict[str, Any]] = {"default": _PROBLEM, 422: _PROBLEM}


def build_api(services: Services) -> FastAPI:
    """Return the whole API, version 1; stateless but for what `services` holds."""
    app = unwired_api()
    app.state.services = services
    stores, settings = services.stores, services.settings
    app.state.feed = EventFeed(stores.jobs, stores.events, services.clock, settings.streams)
    app.state.known_keys = KnownKeys(stores.keys, services.clock, settings.http.key_kept_s)
    limits = settings.limits
    slots = UploadSlots(limits.upload_streams_max, settings.quotas.upload_streams_max)
    app.state.resumable = ResumableUploads(services, slots)
    app.state.whole_uploads = WholeUploads(services, slots)
    # The one added last stands outermost: figures, headers, form of the answer, key, rate, size,
    # the body.
    app.add_middleware(
        BodyBounds,
        limits=limits,
        by_path={UPLOADS: limits.upload_bytes_max, FILES: limits.upload_bytes_max},
    )
    app.add_middleware(Throttle, clock=services.clock, settings=settings.rates)
    app.add_middleware(KeyGate, keys=app.state.known_keys)
    app.add_middleware(TusAnswers, folder=UPLOADS)
    app.add_middleware(Dialects, dialects=DIALECTS)
    app.add_middleware(InertAnswers)
    app.add_middleware(
        Measured,
        telemetry=services.telemetry,
        tracing=services.tracing,
        new_id=services.new_id,
    )
    return app


def unwired_api() -> FastAPI:
    """Return the routes alone, fit to be described but not to be called."""
    app = FastAPI(
        title="Muster",
        version="1",
        summary="Bulk labelling with a stated and certified accuracy",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.include_router(health.router, responses=_RESPONSES)
    app.include_router(_root_router())
    add_handlers(app)
    return app


def _root_router() -> APIRouter:
    """Return every route that asks for a key."""
    root = APIRouter(dependencies=[Depends(require_key)], responses=_RESPONSES)
    resources = (
        uploads,
        jobs,
        assignments,
        streams,
        results,
        webhooks,
        workers,
        models,
        predictions,
        keys,
        quotas,
        audit,
    )
    for resource in resources:
        root.include_router(resource.router)
    for adapter in (batches, chat, files, inference, label_studio):
        root.include_router(adapter.router, include_in_schema=False)
    return root


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Give blocking routes as many threads as the settings say."""
    services: Services = app.state.services
    anyio.to_thread.current_default_thread_limiter().total_tokens = services.settings.http.threads
    yield
