"""Images of every allowed kind, and those that must not reach a worker or a model."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cluster.errors import ForbiddenUri, TooLarge, UnreadableSource
from ingest.images import check_image, image_bytes
from ingest.rows import Code, Problem
from tests.unit.ingest.support import picture

PIXELS_MAX = 10_000
KINDS = ["PNG", "JPEG", "WEBP", "GIF", "BMP"]


def check(content: bytes) -> Problem | None:
    return check_image(content, "image", PIXELS_MAX)


def code(content: bytes) -> str | None:
    problem = check(content)
    return problem and problem.code


def nothing(uri: str) -> bytes:
    raise UnreadableSource(uri, "there is no such file")


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size in its header, and holds next to nothing."""

    def chunk(name: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\x00" * 100))
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", KINDS)
def test_every_allowed_kind_passes(kind: str) -> None:
    assert check(picture(kind)) is None


def test_other_modes_and_animations_pass() -> None:
    for mode in ("1", "L", "P", "RGBA", "I;16"):
        stream = io.BytesIO()
        Image.new(mode, (5, 5)).save(stream, "PNG")
        assert check(stream.getvalue()) is None
    for kind in ("GIF", "WEBP"):
        stream = io.BytesIO()
        frame = Image.new("RGB", (9, 9), "red")
        frame.save(stream, kind, save_all=True, append_images=[Image.new("RGB", (9, 9))] * 3)
        assert check(stream.getvalue()) is None
    assert check(picture("JPEG", size=(64, 64), progressive=True)) is None


def test_kinds_that_are_not_allowed_are_unsupported() -> None:
    others = [picture(kind) for kind in ("TIFF", "PPM", "TGA", "ICO")]
    for content in [*others, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"x"]:
        problem = Problem(
            "image", Code.IMAGE_UNSUPPORTED, "'image' is not a PNG, JPEG, WEBP, GIF or BMP image"
        )
        assert check(content) == problem


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_cut_short_is_broken(kind: str) -> None:
    content = picture(kind, size=(40, 40))
    for share in (0.3, 0.6, 0.9):
        problem = check(content[: int(len(content) * share)])
        assert problem == Problem("image", Code.IMAGE_BROKEN, f"'image' is a damaged {kind} image")


def test_a_png_with_a_wrong_checksum_is_broken() -> None:
    content = bytearray(picture("PNG"))
    content[-14] ^= 0xFF
    assert code(bytes(content)) == "image-broken"


def test_an_image_of_too_many_pixels_is_refused_by_its_header_alone() -> None:
    # Given headers that claim a little, a lot and monstrously more than the limit
    problem = check(picture("PNG", size=(101, 100)))
    detail = "'image' has 10,100 pixels; the limit is 10,000"
    assert problem == Problem("image", Code.IMAGE_TOO_LARGE, detail)
    assert code(png_header(9_000, 9_000)) == "image-too-large"
    assert code(png_header(60_000, 60_000)) == "image-too-large"


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    content = picture("JPEG", size=(16, 16), progressive=True)
    scan = content[content.index(b"\xff\xda") : -2]
    problem = check(content[:-2] + scan * 600 + content[-2:])
    assert problem is not None
    assert problem.code == "image-too-large"
    assert "scans" in problem.detail


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_random_damage_never_escapes(kind: str) -> None:
    # Given an image and five hundred ways to damage it
    content = picture(kind, size=(12, 12))
    rng = np.random.default_rng(7)
    for _ in range(500):
        damaged = bytearray(content)
        for _ in range(rng.choice([1, 2, 20])):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        del damaged[rng.integers(len(damaged)) if rng.random() < 0.3 else len(damaged) :]
        # Then it passes, or is refused with a code
        allowed = {None, "image-broken", "image-unsupported", "image-too-large"}
        assert code(bytes(damaged)) in allowed


def test_bytes_base64_and_data_uris_give_the_same_image() -> None:
    png = picture()
    text = base64.b64encode(png).decode()
    for value in (png, text, f"data:image/png;base64,{text}", f"data:;base64,{text}"):
        assert image_bytes(value, "image", 10_000, nothing) == png


@pytest.mark.parametrize(
    ("value", "code", "detail"),
    [
        ("a.png", Code.BASE64_INVALID, "'image' is neither base64 nor a URI"),
        ("QUJD\nREVG", Code.BASE64_INVALID, "'image' is neither base64 nor a URI"),
        ("QUJ", Code.BASE64_INVALID, "'image' is neither base64 nor a URI"),
        ("éééé", Code.BASE64_INVALID, "'image' is neither base64 nor a URI"),
        (
            "data:image/svg+xml,<svg/>",
            Code.BASE64_INVALID,
            "'image' is a data URI without base64",
        ),
        (
            "data:image/png;base64",
            Code.IMAGE_UNSUPPORTED,
            "'image' is not a PNG, JPEG, WEBP, GIF or BMP image",
        ),
        (b"x" * 11, Code.IMAGE_TOO_LARGE, "'image' has 11 bytes; the limit is 10"),
        ("QUJDREVG" * 2, Code.IMAGE_TOO_LARGE, "'image' has 12 bytes; the limit is 10"),
    ],
)
def test_what_holds_no_image_is_refused(value: str | bytes, code: Code, detail: str) -> None:
    found = image_bytes(value, "image", 10, nothing)
    problem = check(found) if isinstance(found, bytes) else found
    assert problem == Problem("image", code, detail)


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (
            ForbiddenUri("s3://b/k", "it lies outside the allowed roots"),
            Code.URI_FORBIDDEN,
            "s3://b/k: it lies outside the allowed roots",
        ),
        (
            UnreadableSource("s3://b/k", "there is no such object"),
            Code.URI_UNREADABLE,
            "s3://b/k: there is no such object",
        ),
        (
            TooLarge("s3://b/k", 11, 10),
            Code.IMAGE_TOO_LARGE,
            "'image' has 11 bytes; the limit is 10",
        ),
    ],
)
def test_a_uri_that_cannot_be_fetched_costs_its_row_only(
    error: Exception, code: Code, detail: str
) -> None:
    def fetch(_: str) -> bytes:
        raise error

    assert image_bytes("s3://b/k", "image", 10, fetch) == Problem("image", code, detail)
