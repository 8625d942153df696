"""Lease tokens: what a worker carries between claim and answer, sealed so that none can be forged.

A token is `urlsafe-base64(header | job id | worker id | tag)` without padding; the tag is
HMAC-SHA256 (RFC 2104) over all before it, cut to 128 bits as RFC 2104 section 5 allows. It is
signed, not encrypted, so it must say nothing that a worker may not know: why an item is asked (a
hidden audit) and when the lease ends stay with the shard, under `lease_id`.
"""

import binascii
import hmac
import struct
from typing import NamedTuple

from cluster.domain.ids import JobId, Position, ShardId, WorkerId
from cluster.errors import InvalidField, LeaseInvalid

TOKEN_CHARS_MAX = 800
"""No token is longer: ids are at most 255 bytes each."""

_VERSION = 1
_HEADER = struct.Struct("!BHIIQQBB")
_TAG_BYTES = 16
_ID_BYTES_MAX = 255
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_TO_PLAIN = bytes.maketrans(b"-_", b"+/")


class Ticket(NamedTuple):
    """What a token says: who may answer which item, by which lease of which epoch, and where."""

    shard_id: ShardId
    job_id: JobId
    partition: int
    epoch: int
    position: Position
    lease_id: int
    worker_id: WorkerId


def seal(ticket: Ticket, secret: bytes) -> str:
    """Return the token of a ticket; raises InvalidField for an id over 255 bytes."""
    job = _id_bytes("job_id", ticket.job_id)
    worker = _id_bytes("worker_id", ticket.worker_id)
    header = _HEADER.pack(
        _VERSION,
        ticket.shard_id,
        ticket.partition,
        ticket.epoch,
        ticket.position,
        ticket.lease_id,
        len(job),
        len(worker),
    )
    body = header + job + worker
    return _encoded(body + _tag(body, secret))


def unseal(token: str, secret: bytes) -> Ticket:
    """Return what a token says; raises LeaseInvalid unless this very text was made by `seal`."""
    sealed = _decoded(token)
    body, tag = sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(body, secret)):
        raise LeaseInvalid
    version, shard, partition, epoch, position, lease_id, job_bytes, _ = _HEADER.unpack_from(body)
    if version != _VERSION:
        raise LeaseInvalid
    worker_at = _HEADER.size + job_bytes
    return Ticket(
        shard_id=ShardId(shard),
        job_id=JobId(body[_HEADER.size : worker_at].decode()),
        partition=partition,
        epoch=epoch,
        position=position,
        lease_id=lease_id,
        worker_id=WorkerId(body[worker_at:].decode()),
    )


def _decoded(token: str) -> bytes:
    """Return a token's bytes; only the one canonical spelling passes."""
    if len(token) > TOKEN_CHARS_MAX or not token.isascii():
        raise LeaseInvalid
    padded = token.encode("ascii").translate(_TO_PLAIN) + b"=" * (-len(token) % 4)
    try:
        sealed = binascii.a2b_base64(padded)
    except binascii.Error:
        raise LeaseInvalid from None
    if _encoded(sealed) != token or len(sealed) < _HEADER.size + _TAG_BYTES:
        raise LeaseInvalid
    return sealed


def _encoded(sealed: bytes) -> str:
    encoded = binascii.b2a_base64(sealed, newline=False).rstrip(b"=")
    return encoded.translate(_TO_URL_SAFE).decode("ascii")


def _tag(body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, body, "sha256")[:_TAG_BYTES]


def _id_bytes(field: str, value: str) -> bytes:
    encoded = value.encode()
    if len(encoded) > _ID_BYTES_MAX:
        raise InvalidField(field, f"an id has at most {_ID_BYTES_MAX} bytes")
    return encoded
