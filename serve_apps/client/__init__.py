"""A thin, typed client of Muster's HTTP API."""

from serve_apps.client.calls import ClientError, ClientProblem, Retries, ServiceUnreachable
from serve_apps.client.corrections import newest
from serve_apps.client.muster import MusterClient

__all__ = [
    "ClientError",
    "ClientProblem",
    "MusterClient",
    "Retries",
    "ServiceUnreachable",
    "newest",
]
