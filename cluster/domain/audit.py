"""Acts of consequence, and the chain that shows whether the record of them was changed."""

from dataclasses import dataclass
from hashlib import sha256

from cluster.domain.ids import TenantId, UnixSeconds

NO_DETAILS = sha256(b"").digest()
MUSTER = "muster"
"""The actor of what nobody asked for: expiry, and keys made at the first start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who did what to which thing; `details_sha256` is the hash of what exactly was asked.

    `actor` is the id of the key that asked, or what of the service did it by itself, and
    `tenant_id` is the actor's tenant, empty where it has none.
    """

    at: UnixSeconds
    tenant_id: TenantId
    actor: str
    action: str
    subject: str
    request_id: str = ""
    details_sha256: bytes = NO_DETAILS


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An act as recorded: numbered from 1, and tied by its hash to all that stand before it."""

    seq: int
    act: Act
    previous_sha256: bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: whoever keeps it elsewhere notices any change of what led to it."""

    seq: int
    sha256: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.sha256.hex()}"


EMPTY = Head(0, bytes(32))
"""What the first entry stands on."""
