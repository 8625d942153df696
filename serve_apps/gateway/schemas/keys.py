"""API keys on the wire."""

from datetime import datetime
from typing import Annotated, get_args

from pydantic import Field

from cluster.domain.access import KeyRecord, Role
from cluster.domain.pii import Clearance
from cluster.errors import InvalidField
from serve_apps.gateway.schemas.base import Incoming, Outgoing, utc


class KeyRequest(Incoming):
    """A key to issue for a tenant; one for workers may be cleared to see what its jobs mask."""

    tenant_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    role: Role
    clearances: list[Clearance] = Field(default=[], max_length=len(get_args(Clearance)))


class KeyView(Outgoing):
    """A key as it is issued; `key` is shown this once and stored nowhere."""

    id: str
    tenant_id: str
    role: Role
    created_at: datetime
    key: str
    clearances: tuple[Clearance, ...] = ()


def check_clearances(request: KeyRequest) -> None:
    """Raise InvalidField where a key would be cleared for what its role never sees."""
    if request.clearances and request.role != "worker":
        raise InvalidField("clearances", "are for keys of workers")


def key_view(record: KeyRecord, text: str) -> KeyView:
    """Return a new key as the wire shows it."""
    return KeyView(
        id=record.key_id,
        tenant_id=record.tenant_id,
        role=record.role,
        created_at=utc(record.created_at),
        key=text,
        clearances=tuple(sorted(record.clearances)),
    )
