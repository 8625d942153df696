"""API keys on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from cluster.domain.access import KeyRecord, Role
from serve_apps.gateway.schemas.base import Incoming, Outgoing, utc


class KeyRequest(Incoming):
    """A key to issue for a tenant."""

    tenant_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    role: Role


class KeyView(Outgoing):
    """A key as it is issued; `key` is shown this once and stored nowhere."""

    id: str
    tenant_id: str
    role: Role
    created_at: datetime
    key: str


def key_view(record: KeyRecord, text: str) -> KeyView:
    """Return a new key as the wire shows it."""
    return KeyView(
        id=record.key_id,
        tenant_id=record.tenant_id,
        role=record.role,
        created_at=utc(record.created_at),
        key=text,
    )
