"""The hash chain of the audit log: how an entry is made, and how a chain is checked.

An entry's hash is the SHA-256 of `muster audit 1`, its number, the hash before it and the fields
of its act in the order of `_fields`, each as its length in eight bytes and then its bytes: so no
two entries have one encoding. Numbers are big-endian, of eight bytes, and times IEEE 754 doubles;
texts are UTF-8.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from cluster.domain.audit import EMPTY, Act, AuditEntry, Head

_PURPOSE = b"muster audit 1"


@dataclass(frozen=True, slots=True)
class Fault:
    """The first entry at which a chain is not what it was when it was written."""

    seq: int
    reason: str


def chained(act: Act, before: Head) -> AuditEntry:
    """Return the entry of an act that follows the head of a chain."""
    seq = before.seq + 1
    return AuditEntry(
        seq=seq,
        act=act,
        previous_sha256=before.sha256,
        sha256=_digest(seq, act, before.sha256),
    )


def checked(
    entries: Iterable[AuditEntry], before: Head = EMPTY, anchor: Head | None = None
) -> Head | Fault:
    """Return the head of a chain, given its entries in order after a head that is trusted.

    Returns a Fault where an entry was changed, is missing, was put in or stands at another place;
    and, given the head of an earlier day as `anchor`, where that is no part of the chain.
    """
    head = before
    for entry in entries:
        fault = _fault(entry, head)
        if fault is not None:
            return Fault(head.seq + 1, fault)
        head = Head(entry.seq, entry.sha256)
        if anchor is not None and anchor.seq == head.seq and anchor != head:
            return Fault(head.seq, "the chain was written anew: it is not the one of the anchor")
    if anchor is not None and anchor.seq > head.seq:
        return Fault(head.seq + 1, f"the end is missing: the anchor is entry {anchor.seq}")
    return head


def _fault(entry: AuditEntry, head: Head) -> str | None:
    if entry.seq != head.seq + 1:
        return f"entry {entry.seq} stands in its place"
    if entry.previous_sha256 != head.sha256:
        return "it does not follow the entry before it"
    if entry.sha256 != _digest(entry.seq, entry.act, entry.previous_sha256):
        return "it was changed after it was written"
    return None


def _digest(seq: int, act: Act, previous_sha256: bytes) -> bytes:
    found = sha256()
    for field in (_PURPOSE, struct.pack(">Q", seq), previous_sha256, *_fields(act)):
        found.update(struct.pack(">Q", len(field)))
        found.update(field)
    return found.digest()


def _fields(act: Act) -> Iterator[bytes]:
    yield struct.pack(">d", act.at)
    for text in (act.tenant_id, act.actor, act.action, act.subject, act.request_id):
        yield text.encode()
    yield act.details_sha256
