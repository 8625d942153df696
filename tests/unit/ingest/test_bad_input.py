"""Bad input end to end: a bad row is refused with its reason, every other one becomes an item."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from cluster.domain.jobs import Source
from cluster.errors import (
    BadInput,
    EmptySource,
    ForbiddenUri,
    InvalidField,
    MissingColumn,
    TooLarge,
    UnreadableSource,
)
from cluster.settings import IngestSettings, Limits, Settings
from tests.unit.ingest.support import SETTINGS, ingest, jsonl, parquet, picture, source

GOOD = {"id": "good-1", "text": "hello"}
LAST = {"id": "good-2", "text": "goodbye"}
SMALL = Settings(ingest=IngestSettings(chunk_rows=4), limits=Limits(row_bytes_max=100))


def error(
    line: int | None, field: str | None, code: str, detail: str, item_id: str | None = None
) -> dict[str, Any]:
    return {"line": line, "field": field, "code": code, "detail": detail, "id": item_id}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(
            b'{"id": "b", "text": "x"',
            error(
                2,
                None,
                "json-malformed",
                "not JSON at character 24 of the line: Expecting ',' delimiter",
            ),
            id="malformed JSON",
        ),
        pytest.param(
            b'["b"]',
            error(2, None, "json-not-object", "the line is an array, not an object"),
            id="not an object",
        ),
        pytest.param(
            b'{"id": "b"}',
            error(2, "text", "field-missing", "the row has no 'text'", "b"),
            id="missing content",
        ),
        pytest.param(
            b'{"text": "x"}',
            error(2, "id", "field-missing", "the row has no 'id'"),
            id="missing id",
        ),
        pytest.param(
            b'{"id": "b", "text": 7}',
            error(2, "text", "field-type", "'text' is an integer, not a string", "b"),
            id="wrong type",
        ),
        pytest.param(
            b'{"id": "b", "text": " "}',
            error(2, "text", "field-empty", "'text' holds nothing but white space", "b"),
            id="empty content",
        ),
        pytest.param(
            b'{"id": "\xc3", "text": "x"}',
            error(2, None, "utf8-invalid", "byte 9 of the line is not UTF-8"),
            id="invalid UTF-8",
        ),
        pytest.param(
            b'{"id": "b", "text": "%s"}' % (b"x" * 100),
            error(2, None, "row-too-large", "the line has 123 bytes; the limit is 100"),
            id="row over limit",
        ),
        pytest.param(
            b'{"id": "good-1", "text": "x"}',
            error(2, "id", "id-duplicate", "line 1 has the same 'id' already", "good-1"),
            id="duplicate id",
        ),
        pytest.param(
            b'{"id": "b\\ud83d", "text": "x"}',
            error(2, "id", "utf8-invalid", "character 2 of 'id' is half of a surrogate pair"),
            id="half a character",
        ),
    ],
)
def test_a_bad_line_of_jsonl(row: bytes, expected: dict[str, Any]) -> None:
    # Given a bad row between two good ones
    found = ingest(jsonl(GOOD) + row + b"\n" + jsonl(LAST), settings=SMALL)
    # Then its reason is in the error file, and the good ones are items one after the other
    assert found.errors == (expected,)
    assert found.items == ((0, "good-1", "hello"), (1, "good-2", "goodbye"))
    assert (found.progress.items, found.progress.rejected) == (2, 1)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (b"b", error(2, None, "csv-field-count", "the record has 1 fields; the header has 2")),
        (b"b,", error(2, "text", "field-empty", "'text' holds nothing but white space", "b")),
        (b",x", error(2, "id", "field-empty", "'id' is empty")),
        (b"b,\xff", error(2, None, "utf8-invalid", "byte 3 of the record is not UTF-8")),
        (
            b'"good-1",x',
            error(2, "id", "id-duplicate", "line 1 has the same 'id' already", "good-1"),
        ),
        (
            b'b,"' + b"x\n" * 60 + b'"',
            error(2, None, "row-too-large", "the record has 124 bytes; the limit is 100"),
        ),
    ],
)
def test_a_bad_record_of_csv(row: bytes, expected: dict[str, Any]) -> None:
    content = b"id,text\ngood-1,hello\n" + row + b"\ngood-2,goodbye\n"
    found = ingest(content, source("csv"), SMALL)
    assert found.errors == (expected,)
    assert found.items == ((0, "good-1", "hello"), (1, "good-2", "goodbye"))


@pytest.mark.parametrize(
    ("item_id", "text", "expected"),
    [
        (None, "x", error(2, "id", "field-missing", "'id' is null")),
        ("b", None, error(2, "text", "field-missing", "'text' is null", "b")),
        ("b", "", error(2, "text", "field-empty", "'text' holds nothing but white space", "b")),
        (
            "b",
            "x" * 101,
            error(2, "text", "field-too-large", "'text' has 101 bytes; the limit is 100", "b"),
        ),
        (
            "x" * 201,
            "x",
            error(2, "id", "id-too-long", "'id' has 201 characters; the limit is 200"),
        ),
        (
            "good-1",
            "x",
            error(2, "id", "id-duplicate", "line 1 has the same 'id' already", "good-1"),
        ),
    ],
)
def test_a_bad_record_of_parquet(
    item_id: str | None, text: str | None, expected: dict[str, Any]
) -> None:
    columns = {"id": ["good-1", item_id, "good-2"], "text": ["hello", text, "goodbye"]}
    found = ingest(parquet(columns), source("parquet"), SMALL)
    assert found.errors == (expected,)
    assert found.items == ((0, "good-1", "hello"), (1, "good-2", "goodbye"))


def test_bad_images(tmp_path: Path) -> None:
    # Given good images in every way a row can hold one, and bad ones among them
    png = picture()
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "a.png").write_bytes(png)
    (tmp_path / "open" / "large.png").write_bytes(b"x" * 6_001)
    (tmp_path / "b.png").write_bytes(png)
    root = (tmp_path / "open").as_uri()
    encoded = base64.b64encode(png).decode()
    rows = [
        {"id": 1, "image": encoded},
        {"id": 2, "image": base64.b64encode(picture("TIFF")).decode()},
        {"id": 3, "image": base64.b64encode(png[:-30]).decode()},
        {"id": 4, "image": base64.b64encode(picture(size=(40, 40))).decode()},
        {"id": 5, "image": "data:image/png;base64," + encoded},
        {"id": 6, "image": "cat.png"},
        {"id": 7, "image": f"{root}/../b.png"},
        {"id": 8, "image": f"{root}/missing.png"},
        {"id": 9, "image": f"{root}/a.png"},
        {"id": 10, "image": "http://169.254.169.254/a.png"},
        {"id": 11, "image": f"{root}/large.png"},
    ]
    limits = Limits(image_bytes_max=6_000, image_pixels_max=1_000)
    settings = Settings(limits=limits, allowed_roots=(root,))
    # When they are ingested
    found = ingest(jsonl(*rows), settings=settings, modality="image")
    # Then the good ones are items with their encoded bytes, and each bad one has its reason
    assert found.items == ((0, "1", png), (1, "5", png), (2, "9", png))
    assert found.progress.duplicates == 2
    place = "it lies outside the allowed roots"
    schemes = "the schemes are upload://, file:///, s3:// and gs://"
    assert [(e["line"], e["field"], e["code"], e["detail"], e["id"]) for e in found.errors] == [
        (
            2,
            "image",
            "image-unsupported",
            "'image' is not a PNG, JPEG, WEBP, GIF or BMP image",
            "2",
        ),
        (3, "image", "image-broken", "'image' is a damaged PNG image", "3"),
        (4, "image", "image-too-large", "'image' has 1,600 pixels; the limit is 1,000", "4"),
        (6, "image", "base64-invalid", "'image' is neither base64 nor a URI", "6"),
        (7, "image", "uri-forbidden", f"{root}/../b.png: {place}", "7"),
        (8, "image", "uri-unreadable", f"{root}/missing.png: there is no such file", "8"),
        (10, "image", "uri-forbidden", f"http://169.254.169.254/a.png: {schemes}", "10"),
        (11, "image", "image-too-large", "'image' has 6,001 bytes; the limit is 6,000", "11"),
    ]


def test_an_image_may_be_as_large_in_base64_as_its_own_limit_allows() -> None:
    # Given an image far larger than a row of text may be
    bmp = picture("BMP", size=(100, 100))
    row = {"id": 1, "image": base64.b64encode(bmp).decode()}
    limits = Limits(row_bytes_max=100, image_bytes_max=len(bmp))
    # Then it is accepted, and one byte less of a limit refuses it
    found = ingest(jsonl(row), settings=Settings(limits=limits), modality="image")
    assert found.items == ((0, "1", bmp),)
    less = Settings(limits=limits.model_copy(update={"image_bytes_max": len(bmp) - 1}))
    with pytest.raises(EmptySource):
        ingest(jsonl(row), settings=less, modality="image")


@pytest.mark.parametrize(
    ("content", "spec_source", "expected", "message"),
    [
        pytest.param(
            b"",
            source(),
            EmptySource,
            "upload://upload-1 gives no items: it has no rows",
            id="empty file",
        ),
        pytest.param(b"\n \n", source(), EmptySource, "it has no rows", id="blank lines"),
        pytest.param(b"", source("csv"), EmptySource, "it has no rows", id="empty CSV"),
        pytest.param(b"id,text\n", source("csv"), EmptySource, "it has no rows", id="header only"),
        pytest.param(b"", source("parquet"), EmptySource, "it has no rows", id="empty Parquet"),
        pytest.param(
            b"no\nno\n", source(), EmptySource, "all 2 rows were rejected", id="all rejected"
        ),
        pytest.param(
            b"id,body\n1,x\n",
            source("csv"),
            MissingColumn,
            "has no column 'text'; it has id, body",
            id="CSV without the column",
        ),
        pytest.param(
            parquet({"key": [1], "text": ["x"]}),
            source("parquet"),
            MissingColumn,
            "has no column 'id'; it has key, text",
            id="Parquet without the column",
        ),
        pytest.param(
            parquet({"id": [[1]], "text": ["x"]}),
            source("parquet"),
            InvalidField,
            "column 'id' holds list<element: int64>, not text or integers",
            id="Parquet of another type",
        ),
        pytest.param(
            jsonl(GOOD),
            source("parquet"),
            UnreadableSource,
            "it is not Parquet, or its footer is damaged",
            id="not Parquet at all",
        ),
        pytest.param(
            jsonl(*[GOOD] * 50),
            source(),
            TooLarge,
            "upload://upload-1 has 1,700 bytes; the limit is 1,000",
            id="file over limit",
        ),
        pytest.param(
            b"",
            source(uri="upload://other"),
            UnreadableSource,
            "there is no such upload",
            id="no such upload",
        ),
        pytest.param(
            b"",
            source(uri="file:///etc/passwd"),
            ForbiddenUri,
            "file:///etc/passwd is not allowed: it lies outside the allowed roots",
            id="outside the roots",
        ),
        pytest.param(
            b"",
            source(uri="https://example.org/x.jsonl"),
            ForbiddenUri,
            "the schemes are upload://, file:///, s3:// and gs://",
            id="unknown scheme",
        ),
    ],
)
def test_a_source_that_is_bad_as_a_whole(
    content: bytes, spec_source: Source, expected: type[BadInput], message: str
) -> None:
    settings = Settings(limits=Limits(source_bytes_max=1_000))
    with pytest.raises(expected) as error:
        ingest(content, spec_source, settings)
    assert message in str(error.value)


def test_the_job_may_name_its_fields() -> None:
    wanted = source(id_field="key", content_field="body")
    found = ingest(jsonl({"key": "a", "body": "x"}, {"id": "b", "text": "y"}), wanted)
    assert found.items == ((0, "a", "x"),)
    assert found.errors == (error(2, "key", "field-missing", "the row has no 'key'"),)


def test_an_id_is_free_again_if_the_row_that_had_it_was_refused() -> None:
    found = ingest(
        jsonl({"id": "a", "text": ""}, {"id": "a", "text": "x"}, {"id": "a", "text": "y"})
    )
    assert found.items == ((0, "a", "x"),)
    assert [(e["line"], e["code"]) for e in found.errors] == [
        (1, "field-empty"),
        (3, "id-duplicate"),
    ]
    assert found.errors[1]["detail"] == "line 2 has the same 'id' already"


def test_an_integer_and_its_digits_are_the_same_id() -> None:
    found = ingest(jsonl({"id": 1, "text": "x"}, {"id": "1", "text": "y"}))
    assert found.ids == ["1"]
    assert found.errors[0]["code"] == "id-duplicate"


def test_the_error_file_is_capped_and_says_so() -> None:
    settings = Settings(limits=Limits(rejected_rows_max=2))
    found = ingest(jsonl(GOOD) + b"no\n" * 5, settings=settings)
    assert [e["line"] for e in found.errors] == [2, 3, None]
    assert found.errors[2] == error(None, None, "more-rejected", "3 more rows were rejected")
    assert found.progress.rejected == 5


def test_every_error_is_one_line_of_json_whatever_the_id_holds() -> None:
    found = ingest(jsonl(GOOD, {"id": 'a\n\u2028"', "text": ""}), settings=SETTINGS)
    assert found.errors[0]["id"] == 'a\n\u2028"'
    assert json.loads(json.dumps(found.errors[0])) == found.errors[0]
