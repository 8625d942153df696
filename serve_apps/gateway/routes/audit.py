"""The audit log, for admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from serve_apps.gateway.access import Wired, require_role
from serve_apps.gateway.pages import limit_of
from serve_apps.gateway.schemas.audit import AuditPage, entry_view

router = APIRouter(prefix="/v1/audit", tags=["audit"], dependencies=[Depends(require_role())])


@router.get("")
def list_entries(
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    after: Annotated[int, Query(ge=0, lt=2**53)] = 0,
) -> AuditPage:
    """List who did what, of all tenants, in order, after an entry's number.

    Each entry holds the hash of the one before it, so that whoever reads all of them from the first
    can tell whether any was changed, deleted or put elsewhere since.
    """
    entries = services.stores.audit.read(after, limit)
    return AuditPage(
        entries=tuple(map(entry_view, entries)),
        next_after=entries[-1].seq if entries else after,
    )
