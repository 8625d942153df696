"""The words of tus 1.0.0 (https://tus.io/protocols/resumable-upload): its headers, checked."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from cluster.errors import InvalidField, UnsupportedMedia
from cluster.upload_errors import UnsupportedChecksum, UnsupportedTus

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
MEDIA_TYPE = "application/offset+octet-stream"

Algorithm = Literal["sha1", "sha256", "md5"]
DIGEST_BYTES: Mapping[str, tuple[Algorithm, int]] = MappingProxyType(
    {"sha1": ("sha1", 20), "sha256": ("sha256", 32), "md5": ("md5", 16)}
)
"""The checksums that are read, and how long each is."""

_METADATA_CHARS_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the body of one request must hash to."""

    algorithm: Algorithm
    digest: bytes


def check_version(headers: Mapping[str, str]) -> None:
    """Raise UnsupportedTus where a request does not speak this version."""
    version = headers.get("tus-resumable", "")
    if version != VERSION:
        raise UnsupportedTus(version[:20], VERSION)


def check_media_type(headers: Mapping[str, str]) -> None:
    """Raise UnsupportedMedia where a body is not called a piece of an upload."""
    media_type = headers.get("content-type", "")
    if media_type.partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise UnsupportedMedia(media_type[:100], (MEDIA_TYPE,))


def bytes_of(headers: Mapping[str, str], name: str) -> int:
    """Return a header that counts bytes; raises InvalidField."""
    text = headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidField(name, "must be given, a number of bytes")
    return int(text)


def metadata_of(headers: Mapping[str, str]) -> str:
    """Return Upload-Metadata as it was sent, empty where it was not.

    Raises InvalidField unless it is pairs of a unique name and a base64 value, with commas between.
    """
    text = headers.get("upload-metadata", "")
    if len(text) > _METADATA_CHARS_MAX:
        raise InvalidField("Upload-Metadata", f"is longer than {_METADATA_CHARS_MAX:,} characters")
    names: set[str] = set()
    for pair in text.split(",") if text else ():
        name, _, value = pair.strip().partition(" ")
        if not (name and name.isascii() and name.isprintable()) or name in names:
            raise InvalidField("Upload-Metadata", "has a name that is empty, odd or there twice")
        _decoded("Upload-Metadata", value)
        names.add(name)
    return text


def checksum_of(headers: Mapping[str, str]) -> Checksum | None:
    """Return Upload-Checksum, None where it was not sent.

    Raises UnsupportedChecksum and InvalidField.
    """
    text = headers.get("upload-checksum")
    if text is None:
        return None
    name, _, value = text.partition(" ")
    if name not in DIGEST_BYTES:
        raise UnsupportedChecksum(name[:20], tuple(DIGEST_BYTES))
    algorithm, size_bytes = DIGEST_BYTES[name]
    digest = _decoded("Upload-Checksum", value)
    if len(digest) != size_bytes:
        raise InvalidField("Upload-Checksum", f"is not {size_bytes} bytes in base64")
    return Checksum(algorithm, digest)


def _decoded(field: str, value: str) -> bytes:
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidField(field, "is not base64") from None
