"""API keys: minting, storing hashed, and telling who is behind one.

A key reads `msk_<key id>_<secret>`. The secret is 256 random bits in URL-safe base64; only its
SHA-256 is stored (a fast hash is enough for a secret nobody can guess), so a stolen database
opens nothing.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import get_args

from cluster.domain.access import Caller, KeyRecord, Role
from cluster.domain.audit import MUSTER, Act
from cluster.domain.ids import KeyId, TenantId, UnixSeconds
from cluster.domain.pii import Clearance
from cluster.errors import Unauthenticated
from cluster.ports import KeyStore

SECRET_BYTES = 32
ROLES: tuple[Role, ...] = get_args(Role)

_KEY = re.compile(r"msk_([a-z0-9-]{1,64})_([A-Za-z0-9_-]{43})")
_NOBODY = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedKey:
    """A new key; `text` is what its owner sends, shown once and stored nowhere."""

    record: KeyRecord
    text: str


def mint(
    key_id: KeyId,
    tenant_id: TenantId,
    role: Role,
    now: UnixSeconds,
    randomness: bytes,
    clearances: frozenset[Clearance] = frozenset(),
) -> MintedKey:
    """Return a key made of 32 random bytes; nothing is stored.

    A key id has 1 to 64 characters out of a-z, 0-9 and hyphen; any other is a ValueError.
    """
    secret = urlsafe_b64encode(randomness).rstrip(b"=").decode()
    text = f"msk_{key_id}_{secret}"
    if len(randomness) != SECRET_BYTES or _KEY.fullmatch(text) is None:
        raise ValueError(f"no key can be made of the id {key_id!r} and {len(randomness)} bytes")
    record = KeyRecord(
        key_id=key_id,
        secret_sha256=_digest(secret),
        tenant_id=tenant_id,
        role=role,
        created_at=now,
        clearances=clearances,
    )
    return MintedKey(record=record, text=text)


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A key that somebody sent, well formed but perhaps not genuine."""

    key_id: KeyId
    secret: str = field(repr=False)

    def caller(self, record: KeyRecord | None) -> Caller:
        """Return who sent it, given what is stored under its id; raises Unauthenticated.

        The digests are compared in constant time, and against a dummy where nothing is stored.
        """
        stored = _NOBODY if record is None else record.secret_sha256
        genuine = hmac.compare_digest(stored, _digest(self.secret))
        if record is None or record.revoked or not genuine:
            raise Unauthenticated
        return Caller(
            key_id=record.key_id,
            tenant_id=record.tenant_id,
            role=record.role,
            clearances=record.clearances,
        )


def presented_key(authorization: str | None) -> PresentedKey:
    """Return the key in an Authorization header; raises Unauthenticated."""
    scheme, _, text = (authorization or "").partition(" ")
    match = _KEY.fullmatch(text.strip())
    if scheme.lower() != "bearer" or match is None:
        raise Unauthenticated
    return PresentedKey(KeyId(match[1]), match[2])


def ensure_development_keys(
    keys: KeyStore, tenant_id: TenantId, now: UnixSeconds, random_bytes: Callable[[int], bytes]
) -> tuple[MintedKey, ...]:
    """Make one key a role for a tenant unless they exist; return those made just now.

    Their ids are fixed (`dev-<tenant>-<role>`), so a second start makes none and a lost key
    stays lost until it is revoked and another is issued.
    """
    made = []
    for role in ROLES:
        key_id = KeyId(f"dev-{tenant_id}-{role}")
        if keys.find(key_id) is None:
            made.append(mint(key_id, tenant_id, role, now, random_bytes(SECRET_BYTES)))
            act = Act(at=now, tenant_id=tenant_id, actor=MUSTER, action="key.issue", subject=key_id)
            keys.add(made[-1].record, act)
    return tuple(made)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
