"""API keys and the callers they stand for."""

from dataclasses import dataclass
from typing import Literal

from cluster.domain.ids import KeyId, TenantId, UnixSeconds
from cluster.domain.pii import Clearance

Role = Literal["client", "worker", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """An API key as stored: its public id and the SHA-256 of its secret, never the secret.

    What it is cleared for holds for jobs of its own tenant.
    """

    key_id: KeyId
    secret_sha256: bytes
    tenant_id: TenantId
    role: Role
    created_at: UnixSeconds
    revoked: bool = False
    clearances: frozenset[Clearance] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is behind a request, after its key was checked."""

    key_id: KeyId
    tenant_id: TenantId
    role: Role
    clearances: frozenset[Clearance] = frozenset()
