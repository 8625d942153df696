"""The audit log on the wire: all that is needed to check its chain."""

from typing import Annotated

from pydantic import Field

from cluster.domain.audit import Act, AuditEntry
from cluster.domain.ids import TenantId
from serve_apps.gateway.schemas.base import Outgoing

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class EntryView(Outgoing):
    """Who did what; times are in seconds since 1970, exactly as they are hashed."""

    seq: int
    at: float
    tenant_id: str
    actor: str
    action: str
    subject: str
    request_id: str
    details_sha256: Sha256
    previous_sha256: Sha256
    sha256: Sha256


class AuditPage(Outgoing):
    """Some entries, in order, and the number to go on after."""

    entries: tuple[EntryView, ...]
    next_after: int


def entry_view(entry: AuditEntry) -> EntryView:
    """Return an entry as the wire shows it."""
    act = entry.act
    return EntryView(
        seq=entry.seq,
        at=act.at,
        tenant_id=act.tenant_id,
        actor=act.actor,
        action=act.action,
        subject=act.subject,
        request_id=act.request_id,
        details_sha256=act.details_sha256.hex(),
        previous_sha256=entry.previous_sha256.hex(),
        sha256=entry.sha256.hex(),
    )


def entry_of(view: EntryView) -> AuditEntry:
    """Return an entry as it is hashed."""
    act = Act(
        at=view.at,
        tenant_id=TenantId(view.tenant_id),
        actor=view.actor,
        action=view.action,
        subject=view.subject,
        request_id=view.request_id,
        details_sha256=bytes.fromhex(view.details_sha256),
    )
    return AuditEntry(
        seq=view.seq,
        act=act,
        previous_sha256=bytes.fromhex(view.previous_sha256),
        sha256=bytes.fromhex(view.sha256),
    )
