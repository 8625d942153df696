"""Uploads that arrive in pieces, and may break off and go on."""

from dataclasses import dataclass

from cluster.domain.audit import MUSTER, Act
from cluster.domain.ids import TenantId, UnixSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that is arriving: `received_bytes` of its `length_bytes` are stored for good,
    in so many `parts`.

    `metadata` is the client's own, as it was sent. One that is not whole by `expires_at` is gone.
    """

    upload_id: str
    tenant_id: TenantId
    length_bytes: int
    received_bytes: int
    parts: int
    metadata: str
    expires_at: UnixSeconds

    @property
    def is_whole(self) -> bool:
        """Whether every byte has arrived."""
        return self.received_bytes == self.length_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPart:
    """A run of an upload's bytes, from `offset_bytes` on, stored as one object."""

    offset_bytes: int
    size_bytes: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedUploads:
    """What a tenant's uploads that are not whole yet come to, by their promised lengths."""

    count: int
    length_bytes: int


def ran_out(tenant_id: TenantId, upload_id: str, now: UnixSeconds) -> Act:
    """Return the act of the service by which an upload goes that was not whole in time."""
    action = "upload.expire"
    return Act(at=now, tenant_id=tenant_id, actor=MUSTER, action=action, subject=upload_id)
