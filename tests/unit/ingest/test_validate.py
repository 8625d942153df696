"""Ids and contents that make an item, and those that do not."""

import base64

import pytest

from cluster.domain.ids import ItemId
from cluster.domain.items import RejectedRow
from cluster.settings import Limits
from ingest.rows import Absent, Candidate, Code, Row
from ingest.validate import Validator
from tests.unit.ingest.support import layout, picture

A = ItemId("a")
LIMITS = Limits(row_bytes_max=20, image_bytes_max=2_000, image_pixels_max=100)


def fetched(uri: str) -> bytes:
    return picture() if uri == "file:///data/a.png" else b"not an image"


def check(item_id: object, content: object, modality: str = "text") -> Candidate | RejectedRow:
    wanted = layout(modality=modality, content_field=modality)
    return Validator(wanted, LIMITS, fetched).check(Row(5, item_id, content))


@pytest.mark.parametrize(
    ("raw", "item_id"),
    [
        ("a", "a"),
        ("x" * 200, "x" * 200),
        (b"\xc3\xa9", "é"),
        (7, "7"),
        (-(2**70), str(-(2**70))),
        (" ", " "),
    ],
)
def test_strings_and_integers_are_ids(raw: object, item_id: str) -> None:
    found = check(raw, "hello")
    assert found == Candidate(5, ItemId(item_id), "hello")


@pytest.mark.parametrize(
    ("raw", "code", "detail"),
    [
        (Absent.ABSENT, Code.FIELD_MISSING, "the row has no 'id'"),
        (None, Code.FIELD_MISSING, "'id' is null"),
        (True, Code.FIELD_TYPE, "'id' is a boolean, not a string or an integer"),
        (1.0, Code.FIELD_TYPE, "'id' is a number, not a string or an integer"),
        (["a"], Code.FIELD_TYPE, "'id' is an array, not a string or an integer"),
        ({"a": 1}, Code.FIELD_TYPE, "'id' is an object, not a string or an integer"),
        ("", Code.FIELD_EMPTY, "'id' is empty"),
        ("x" * 201, Code.ID_TOO_LONG, "'id' has 201 characters; the limit is 200"),
        (10**300, Code.ID_TOO_LONG, "'id' has 301 characters; the limit is 200"),
        ("a\ud800", Code.UTF8_INVALID, "character 2 of 'id' is half of a surrogate pair"),
        (b"a\xff", Code.UTF8_INVALID, "byte 2 of 'id' is not UTF-8"),
    ],
)
def test_a_bad_id_is_refused(raw: object, code: Code, detail: str) -> None:
    assert check(raw, "hello") == RejectedRow(line=5, field="id", code=code, detail=detail)


@pytest.mark.parametrize(
    ("raw", "code", "detail"),
    [
        (Absent.ABSENT, Code.FIELD_MISSING, "the row has no 'text'"),
        (None, Code.FIELD_MISSING, "'text' is null"),
        (7, Code.FIELD_TYPE, "'text' is an integer, not a string"),
        ("", Code.FIELD_EMPTY, "'text' holds nothing but white space"),
        (" \t\n\u2003", Code.FIELD_EMPTY, "'text' holds nothing but white space"),
        ("x" * 21, Code.FIELD_TOO_LARGE, "'text' has 21 bytes; the limit is 20"),
        ("é" * 11, Code.FIELD_TOO_LARGE, "'text' has 22 bytes; the limit is 20"),
        ("\ud83d", Code.UTF8_INVALID, "character 1 of 'text' is half of a surrogate pair"),
        (b"\xff", Code.UTF8_INVALID, "byte 1 of 'text' is not UTF-8"),
    ],
)
def test_a_bad_text_is_refused_with_the_id_of_its_row(raw: object, code: Code, detail: str) -> None:
    expected = RejectedRow(line=5, field="text", code=code, detail=detail, item_id=A)
    assert check("a", raw) == expected


def test_a_text_is_kept_to_the_letter() -> None:
    found = check("a", b" \xc3\xa9\r\n")
    assert isinstance(found, Candidate)
    assert found.content == " é\r\n"


def test_an_image_is_kept_as_its_encoded_bytes() -> None:
    png = picture()
    for raw in (png, base64.b64encode(png).decode()):
        assert check("a", raw, "image") == Candidate(5, A, png)
    assert isinstance(check("a", "file:///data/a.png", "image"), Candidate)


@pytest.mark.parametrize(
    ("raw", "code", "detail"),
    [
        (Absent.ABSENT, Code.FIELD_MISSING, "the row has no 'image'"),
        (7, Code.FIELD_TYPE, "'image' is an integer, not base64, a URI or bytes"),
        ("", Code.FIELD_EMPTY, "'image' is empty"),
        (b"", Code.FIELD_EMPTY, "'image' is empty"),
        ("a.png", Code.BASE64_INVALID, "'image' is neither base64 nor a URI"),
        (
            "file:///data/b.png",
            Code.IMAGE_UNSUPPORTED,
            "'image' is not a PNG, JPEG, WEBP, GIF or BMP image",
        ),
        (
            picture(size=(11, 10)),
            Code.IMAGE_TOO_LARGE,
            "'image' has 110 pixels; the limit is 100",
        ),
    ],
)
def test_a_bad_image_is_refused_with_the_id_of_its_row(
    raw: object, code: Code, detail: str
) -> None:
    expected = RejectedRow(line=5, field="image", code=code, detail=detail, item_id=A)
    assert check("a", raw, "image") == expected
