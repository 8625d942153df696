"""Thin, typed clients of Muster's HTTP API, one that blocks and one for event loops."""

from serve_apps.client.async_muster import AsyncMuster
from serve_apps.client.calls import ClientError, ClientProblem, Retries, ServiceUnreachable
from serve_apps.client.corrections import newest
from serve_apps.client.happenings import Happening
from serve_apps.client.muster import MusterClient

__all__ = [
    "AsyncMuster",
    "ClientError",
    "ClientProblem",
    "Happening",
    "MusterClient",
    "Retries",
    "ServiceUnreachable",
    "newest",
]
