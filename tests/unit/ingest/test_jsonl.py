"""Every way in which a line of JSON Lines can be wrong, and that the others are read."""

import io

import pytest

from ingest.jsonl import jsonl_rows
from ingest.rows import Absent, Row
from tests.unit.ingest.support import accepted, layout, rejected

GOOD = b'{"id": "a", "text": "hello"}\n'

BAD_LINES = [
    pytest.param(
        b'{"id": "b", "text": }',
        ("json-malformed", "not JSON at character 21 of the line: Expecting value"),
        id="malformed",
    ),
    pytest.param(
        b'{"id": "b"} {"id": "c"}',
        ("json-malformed", "not JSON at character 13 of the line: Extra data"),
        id="two values",
    ),
    pytest.param(
        b'{"id": NaN}',
        ("json-malformed", "NaN is not JSON"),
        id="NaN",
    ),
    pytest.param(
        b'{"id": "b\xff"}', ("utf8-invalid", "byte 10 of the line is not UTF-8"), id="UTF-8"
    ),
    pytest.param(
        b'["b", "hello"]', ("json-not-object", "the line is an array, not an object"), id="array"
    ),
    pytest.param(b"null", ("json-not-object", "the line is null, not an object"), id="null"),
    pytest.param(
        b"true", ("json-not-object", "the line is a boolean, not an object"), id="boolean"
    ),
    pytest.param(b"-1.5", ("json-not-object", "the line is a number, not an object"), id="number"),
    pytest.param(b'"b"', ("json-not-object", "the line is a string, not an object"), id="string"),
    pytest.param(
        b'{"id": "b", "text": "%s"}' % (b"x" * 10_000_000),
        ("row-too-large", "the line has 10,000,023 bytes; the limit is 5,000,000"),
        id="long",
    ),
    pytest.param(
        b'{"id": %s1%s}' % (b"[" * 100_000, b"]" * 100_000),
        ("row-too-large", "the line has more than 100,000 values"),
        id="many values",
    ),
    pytest.param(
        b'{"id": %s1%s}' % (b"[" * 50_000, b"]" * 50_000),
        ("json-too-deep", "the JSON is nested too deeply"),
        id="deep",
    ),
    pytest.param(
        b'{"id": %s}' % (b"9" * 5_000),
        ("json-number-too-long", "an integer has too many digits"),
        id="huge integer",
    ),
]


@pytest.mark.parametrize(("line", "problem"), BAD_LINES)
def test_a_bad_line_is_refused_and_the_rest_goes_on(line: bytes, problem: tuple[str, str]) -> None:
    # Given a bad line between two good ones
    stream = io.BytesIO(GOOD + line + b"\n" + GOOD)
    # When they are read
    rows = list(jsonl_rows(stream, layout(record_bytes_max=5_000_000)))
    # Then the bad one is refused by its number, and both others are rows
    assert rejected(rows) == [(2, None, *problem)]
    assert accepted(rows) == [Row(1, "a", "hello"), Row(3, "a", "hello")]


def test_blank_lines_count_but_are_no_rows() -> None:
    stream = io.BytesIO(b"\n  \r\n" + GOOD.replace(b"\n", b"\r\n") + b"\t\n" + GOOD.rstrip())
    rows = list(jsonl_rows(stream, layout()))
    assert rows == [Row(3, "a", "hello"), Row(5, "a", "hello")]


def test_fields_that_are_not_there_are_told_from_null() -> None:
    stream = io.BytesIO(b'{"text": null}')
    assert list(jsonl_rows(stream, layout())) == [Row(1, Absent.ABSENT, None)]


def test_the_job_names_the_fields() -> None:
    stream = io.BytesIO(b'{"key": 7, "body": "hi", "id": 1}')
    rows = list(jsonl_rows(stream, layout(id_field="key", content_field="body")))
    assert rows == [Row(1, 7, "hi")]
