"""The bytes of an image, wherever a row keeps them, and whether they make an image."""

import base64
import binascii
import io
import struct
from collections.abc import Callable

from PIL import Image

from cluster.errors import ForbiddenUri, TooLarge, UnreadableSource
from ingest.rows import Code, Problem

Fetch = Callable[[str], bytes]
"""Reads a URI whole; raises ForbiddenUri, UnreadableSource and TooLarge."""

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
)
_SCHEME_CHARS_MAX = 20
_URI_CHARS_SHOWN = 200
_SCAN, _SCANS_MAX = b"\xff\xda", 500
"""A progressive JPEG refines itself scan by scan, each as dear to decode as a whole image."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error)
"""What Pillow's decoders raise for content that is damaged."""


def image_bytes(value: str | bytes, field: str, bytes_max: int, fetch: Fetch) -> bytes | Problem:
    """Return an image's encoded bytes, given as such, in base64, as a `data:` or another URI."""
    if isinstance(value, bytes):
        content: bytes | Problem = value
    elif value.startswith("data:"):
        head, _, payload = value.partition(",")
        if not head.endswith(";base64"):
            return Problem(field, Code.BASE64_INVALID, f"{field!r} is a data URI without base64")
        content = _from_base64(payload, field)
    elif "://" in value[:_SCHEME_CHARS_MAX]:
        content = _fetched(value, field, fetch)
    else:
        content = _from_base64(value, field)
    if isinstance(content, bytes) and len(content) > bytes_max:
        return _too_large(field, len(content), bytes_max, "bytes")
    return content


def check_image(content: bytes, field: str, pixels_max: int) -> Problem | None:
    """Tell what is wrong with an image's encoded bytes: its kind, its size, or damage.

    The size is judged by the header alone; only what passes is decoded, JPEG at an eighth of its
    size. Of an animation only the first frame counts.
    """
    kind = _kind(content)
    if kind is None:
        detail = f"{field!r} is not a PNG, JPEG, WEBP, GIF or BMP image"
        return Problem(field, Code.IMAGE_UNSUPPORTED, detail)
    if kind == "JPEG" and content.count(_SCAN) > _SCANS_MAX:
        return _too_large(field, content.count(_SCAN), _SCANS_MAX, "scans")
    try:
        with Image.open(io.BytesIO(content), formats=[kind]) as image:
            pixels = image.width * image.height
            if pixels > pixels_max:
                return _too_large(field, pixels, pixels_max, "pixels")
            image.verify()
        with Image.open(io.BytesIO(content), formats=[kind]) as image:
            image.draft("L", (1, 1))
            image.load()
    except Image.DecompressionBombError:
        detail = f"{field!r} has far more than {pixels_max:,} pixels"
        return Problem(field, Code.IMAGE_TOO_LARGE, detail)
    except _BROKEN:
        return Problem(field, Code.IMAGE_BROKEN, f"{field!r} is a damaged {kind} image")
    return None


def _kind(content: bytes) -> str | None:
    """Return the format that the first bytes announce, of those allowed."""
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for signature, kind in _SIGNATURES if content.startswith(signature)), None)


def _from_base64(payload: str, field: str) -> bytes | Problem:
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        detail = f"{field!r} is neither base64 nor a URI"
        return Problem(field, Code.BASE64_INVALID, detail)


def _fetched(uri: str, field: str, fetch: Fetch) -> bytes | Problem:
    shown = uri[:_URI_CHARS_SHOWN]
    try:
        return fetch(uri)
    except ForbiddenUri as error:
        return Problem(field, Code.URI_FORBIDDEN, f"{shown}: {error.reason}")
    except UnreadableSource as error:
        return Problem(field, Code.URI_UNREADABLE, f"{shown}: {error.reason}")
    except TooLarge as error:
        return _too_large(field, error.size, error.limit, error.unit)


def _too_large(field: str, size: int, limit: int, unit: str) -> Problem:
    detail = f"{field!r} has {size:,} {unit}; the limit is {limit:,}"
    return Problem(field, Code.IMAGE_TOO_LARGE, detail)
