"""Whether the service lives, and whether it can do its work."""

from collections.abc import Mapping
from typing import Literal

from fastapi import APIRouter, Response

from serve_apps.gateway.access import Wired
from serve_apps.gateway.schemas.base import Outgoing

router = APIRouter(tags=["health"])


class Health(Outgoing):
    """`ok`, or `unready` with the reasons; `parts` says how each part stands."""

    status: Literal["ok", "unready"]
    reasons: tuple[str, ...] = ()
    parts: Mapping[str, str] = {}


@router.get("/v1/health")
@router.get("/healthz", include_in_schema=False)
async def live() -> Health:
    """Say that this gateway lives; touches nothing else."""
    return Health(status="ok")


@router.get("/readyz")
def ready(services: Wired, response: Response) -> Health:
    """Say whether every part the service needs answers; 503 with the reasons where one does not."""
    found = services.readiness()
    reasons = tuple(f"{part} {reason}" for part, reason in found.items() if reason is not None)
    if reasons:
        response.status_code = 503
    return Health(
        status="unready" if reasons else "ok",
        reasons=reasons,
        parts={part: reason or "ok" for part, reason in found.items()},
    )
