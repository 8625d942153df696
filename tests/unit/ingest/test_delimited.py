"""CSV as RFC 4180 has it, and every way in which a record can be wrong."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import MissingColumn, UnreadableSource
from ingest.delimited import csv_rows
from ingest.rows import Row
from tests.memory import peak_memory
from tests.unit.ingest.support import accepted, layout, rejected

HEADER = b"id,text\n"
GOOD = b"a,hello\n"

BAD_RECORDS = [
    pytest.param(b"b", ("csv-field-count", "the record has 1 fields; the header has 2"), id="few"),
    pytest.param(
        b"b,x,", ("csv-field-count", "the record has 3 fields; the header has 2"), id="many"
    ),
    pytest.param(b"b,\xff", ("utf8-invalid", "byte 3 of the record is not UTF-8"), id="UTF-8"),
    pytest.param(
        b'"b"c,x',
        ("csv-malformed", "text follows the closing quote of field 1"),
        id="text after quote",
    ),
    pytest.param(
        b"b," + b"x" * 1_000,
        ("row-too-large", "the record has 1,002 bytes; the limit is 1,000"),
        id="long",
    ),
    pytest.param(
        b'b,"' + b'x""\n' * 1_000 + b'"',
        ("row-too-large", "the record has 4,004 bytes; the limit is 1,000"),
        id="long over many lines",
    ),
    pytest.param(
        b'b,"' + b"x" * 1_500 + b'\nc,d\n"',
        ("row-too-large", "the record has 1,509 bytes; the limit is 1,000"),
        id="long line within quotes",
    ),
]


@pytest.mark.parametrize(("record", "problem"), BAD_RECORDS)
def test_a_bad_record_is_refused_and_the_rest_goes_on(
    record: bytes, problem: tuple[str, str]
) -> None:
    # Given a bad record between two good ones
    stream = io.BytesIO(HEADER + GOOD + record + b"\n" + GOOD)
    # When they are read
    rows = list(csv_rows(stream, layout("csv")))
    # Then the bad one is refused by the number of its record, and both others are rows
    assert rejected(rows) == [(2, None, *problem)]
    assert accepted(rows) == [Row(1, "a", "hello"), Row(3, "a", "hello")]


def test_a_quote_that_is_never_closed_costs_what_follows() -> None:
    rows = list(csv_rows(io.BytesIO(HEADER + GOOD + b'b,"x\nc,y\n'), layout("csv")))
    assert accepted(rows) == [Row(1, "a", "hello")]
    detail = "the quote that opens field 2 is never closed"
    assert rejected(rows) == [(2, None, "csv-malformed", detail)]


def test_records_are_counted_not_lines_nor_blank_ones() -> None:
    content = b'id,text\r\n"a","one\r\ntwo, ""three"""\r\n\r\nb,5" pipe\r\nc\r\n'
    rows = list(csv_rows(io.BytesIO(content), layout("csv")))
    assert accepted(rows) == [Row(1, "a", 'one\r\ntwo, "three"'), Row(2, "b", '5" pipe')]
    assert [(line, code) for line, _, code, _ in rejected(rows)] == [(3, "csv-field-count")]


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(MissingColumn) as error:
        list(csv_rows(io.BytesIO(b"id;text\n1;x\n"), layout("csv")))
    assert (error.value.column, error.value.found) == ("id", ("id;text",))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"id,text,id\n", "it has more than one column 'id'"),
        (b"id,\xff\n", "its header is not CSV: byte 4 of the record is not UTF-8"),
        (b'id,"text\n', "its header is not CSV: the quote that opens field 2 is never closed"),
    ],
)
def test_a_header_that_does_not_serve_makes_the_source_unreadable(
    header: bytes, reason: str
) -> None:
    with pytest.raises(UnreadableSource) as error:
        list(csv_rows(io.BytesIO(header + b"a,b\n"), layout("csv")))
    assert error.value.reason == reason


@pytest.mark.parametrize("content", [b"", b"\n\n", HEADER, b"\xef\xbb\xbfid,text"])
def test_a_source_without_records_gives_no_rows(content: bytes) -> None:
    assert list(csv_rows(io.BytesIO(content), layout("csv"))) == []


def test_many_lines_in_one_field_cost_linear_time_and_bounded_memory() -> None:
    # Given a quoted field of a hundred thousand lines, far over the limit
    content = HEADER + b'a,"' + b'""\n' * 100_000 + b'"\n' + GOOD
    # When it is read
    with peak_memory() as peak:
        rows = list(csv_rows(io.BytesIO(content), layout("csv", record_bytes_max=100_000)))
    # Then it is one refused record, and no more than its limit was kept
    assert [line for line, *_ in rejected(rows)] == [1]
    assert accepted(rows) == [Row(2, "a", "hello")]
    assert peak.bytes < 48 * 2**20


CELLS = st.text(
    st.one_of(st.sampled_from('",\r\n x'), st.characters(exclude_categories=["Cs"])), max_size=8
)


@given(records=st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=8))
def test_what_the_standard_library_writes_is_read_back(records: list[list[str]]) -> None:
    # Given records of two to four fields, written by Python's own writer
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([["id", "text"], *records])
    # When they are read
    rows = list(csv_rows(io.BytesIO(stream.getvalue().encode()), layout("csv")))
    # Then those of two fields come back exactly, in their places, and the others are refused
    fitting = [Row(line, *r) for line, r in enumerate(records, 1) if len(r) == 2]
    assert accepted(rows) == fitting
    assert len(rows) == len(records)
