"""Parsed by column or line by line, the same bytes make the same items and the same errors."""

import io
import json
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.domain.items import RejectedRow
from cluster.settings import Limits
from ingest.blocks import Block
from ingest.bookmark import START
from ingest.checked import BlockCheck
from ingest.jsonl import jsonl_rows
from ingest.jsonl_blocks import jsonl_blocks
from ingest.rows import Layout, Place, Row
from ingest.validate import Validator
from tests.memory import peak_memory
from tests.unit.ingest.support import jsonl, layout
from tests.unit.ingest.test_jsonl import BAD_LINES, GOOD
from tests.unit.ingest.test_lines import Dripping, LongLine

Items = list[tuple[int, str, str]]

LIMITS = Limits(row_bytes_max=200)
LAYOUT = layout(record_bytes_max=200)

PIECES = [
    b'{"id": "a", "text": "x"}',
    b'{"id": 7, "text": "x"}',
    b'{"id":-0,"text":"y"}',
    b'{"id": 9223372036854775808, "text": "x"}',
    b'{"text": "x", "more": [1, {"a": null}], "id": "b"}',
    b'{"id": "c", "id": "d", "text": "last wins"}',
    b'{"id": "c", "text": "x", "z": 1, "z": 2}',
    b'{"\\u0069d": "e", "text": "\\u00e9\\n\\ud83d\\ude00"}',
    b'{"id": "f", "text": "x", "z": NaN}',
    b'{"id": "f", "text": "x", "z": -Infinity}',
    b'{"id": "f", "text": "NaN, Infinity"}',
    b'{"id": "g", "text": "x", "z": 1e999}',
    b'{"id": "g", "text": "x", "z": 01}',
    b'{"id": "h", "text": "x"} {"id": "i", "text": "y"}',
    b'{"id": "h", "text": "x"}{"id": "i", "text": "y"}',
    b'{"id": "h", "text": "x"',
    b'"z": 1}',
    b'{"id": "j", "text": "\\udc00"}',
    b'{"id": "j", "text": "x", "z": "\\ud800"}',
    b'{"id": "j", "text": "\xff"}',
    b'{"id": "j", "text": "x", "z": "\xff"}',
    b'{"id": "k", "text": " \\u2003"}',
    b'{"id": null, "text": "x"}',
    b'{"id": "k", "text": null}',
    b'{"id": true, "text": "x"}',
    b'{"id": 1.0, "text": "x"}',
    b'{"id": "k", "text": ["x"]}',
    b'{"id": "", "text": "x"}',
    b'{"id": "' + b"x" * 180 + b'", "text": "x"}',
    b'{"id": "l", "text": "' + b"x" * 180 + b'"}',
    b'{"id": "l", "text": "x", "z": ' + b"[" * 70 + b"]" * 70 + b"}",
    b'{"id": "m", "text": "a\tb"}',
    b'{"id": "m", "text": "\\u0000"}',
    b'{"id": "m", "text": "x"}\x00',
    b"",
    b"  \t",
    b"[]",
    b"null",
    b"\xef\xbb\xbf",
]
"""Lines, and parts of lines, that one parser or another takes for what they are not."""

SEPARATORS = st.sampled_from([b"\n", b"\n", b"\n", b"\n", b"\r\n", b"", b" ", b"\r", b"\x00"])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=2), values),
    max_leaves=4,
)
OBJECTS = st.builds(
    lambda fields, ascii_only: json.dumps(fields, ensure_ascii=ascii_only).encode(
        errors="surrogatepass"
    ),
    st.dictionaries(st.sampled_from(["id", "text", "z"]), VALUES),
    st.booleans(),
)
LINES = st.one_of(st.sampled_from(PIECES[:2]), st.sampled_from(PIECES), OBJECTS)
FILES = st.lists(st.tuples(LINES, SEPARATORS), max_size=12).map(
    lambda parts: b"".join(line + separator for line, separator in parts)
)


def by_column(
    stream: BinaryIO, wanted: Layout = LAYOUT, place: Place = START
) -> tuple[Items, list[RejectedRow], list[int]]:
    return taken([block() for block in jsonl_blocks(stream, wanted, place)], wanted)


def line_by_line(content: bytes, wanted: Layout = LAYOUT) -> tuple[Items, list[RejectedRow]]:
    rows = list(jsonl_rows(io.BytesIO(content), wanted))
    return taken([Block(rows=rows, starts=[0] * len(rows))], wanted)[:2]


def taken(blocks: list[Block], wanted: Layout) -> tuple[Items, list[RejectedRow], list[int]]:
    """Return the accepted items, the refused rows, and where each item begins."""
    check = BlockCheck(Validator(wanted, LIMITS, fetch=lambda _: b""), "text", 200)
    items: Items = []
    refused, starts = list[RejectedRow](), list[int]()
    for block in blocks:
        checked = check.check(block)
        columns = checked.items.to_pydict()
        items += zip(columns["line"], columns["item_id"], columns["content"], strict=True)
        starts += columns["start"]
        refused += checked.refused
    return items, refused, starts


@pytest.mark.parametrize("line", PIECES)
def test_a_line_among_good_ones_is_judged_as_it_is_by_itself(line: bytes) -> None:
    # Given a line that parsers do not agree on, between lines that Arrow parses
    content = GOOD + line + b"\n" + GOOD
    # Then it is as if there were no Arrow
    items, refused, _ = by_column(io.BytesIO(content))
    assert (items, refused) == line_by_line(content)
    assert [item[0] for item in items][:: len(items) - 1] == [1, 3]


@settings(max_examples=400)
@given(content=FILES, step=st.integers(1, 300))
def test_both_ways_agree_whatever_the_bytes(content: bytes, step: int) -> None:
    items, refused, starts = by_column(cast("BinaryIO", Dripping(content, step)))
    assert (items, refused) == line_by_line(content)
    # And from where an item begins, the same rows follow
    for item, start in zip(items, starts, strict=True):
        later, _, _ = by_column(io.BytesIO(content), place=Place(item[0], start))
        assert later == items[items.index(item) :]


@given(content=FILES)
def test_both_ways_agree_where_one_field_is_id_and_text(content: bytes) -> None:
    both = layout(record_bytes_max=200, content_field="id")
    assert by_column(io.BytesIO(content), both)[:2] == line_by_line(content, both)


@pytest.mark.parametrize(("line", "problem"), BAD_LINES)
def test_a_bad_line_among_thousands_costs_no_other(line: bytes, problem: tuple[str, str]) -> None:
    # Given a bad line amid so many that Arrow reads those around it in pieces
    good = [{"id": number, "text": "x"} for number in range(2_000)]
    content = jsonl(*good[:1_000]) + line + b"\n" + jsonl(*good[1_000:])
    # When they are read
    blocks = [
        block()
        for block in jsonl_blocks(io.BytesIO(content), layout(record_bytes_max=5_000_000), START)
    ]
    # Then it alone is refused, and most others were parsed by column
    rows: list[Any] = [row for block in blocks for row in block.rows]
    by_columns = sum(len(columns.lines) for block in blocks for columns in block.columns)
    assert [row for row in rows if isinstance(row, RejectedRow)] == [
        RejectedRow(line=1_001, field=None, code=problem[0], detail=problem[1])
    ]
    assert by_columns >= 2_000 - 256
    assert by_columns + sum(isinstance(row, Row) for row in rows) == 2_000


def test_a_line_of_half_a_gigabyte_is_passed_over_in_little_memory() -> None:
    # Given a line far over the limit, and a good one after it
    stream = cast("BinaryIO", LongLine(2**29))
    with peak_memory() as peak:
        _, refused, _ = by_column(stream, layout(record_bytes_max=2**20))
    # Then it is refused with its size, the next is judged by itself, and only blocks were held
    assert [row.detail for row in refused] == [
        "the line has 536,870,912 bytes; the limit is 1,048,576",
        "not JSON at character 1 of the line: Expecting value",
    ]
    assert peak.bytes < 48 * 2**20


def test_millions_of_short_lines_come_in_blocks_of_bounded_rows() -> None:
    stream = io.BytesIO(b"no\n" * 40_000)
    blocks = [block() for block in jsonl_blocks(stream, LAYOUT, START)]
    assert max(len(block.rows) for block in blocks) == 16_384
    assert [row.line for block in blocks for row in block.rows] == list(range(1, 40_001))
