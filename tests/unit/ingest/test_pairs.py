"""Items of two texts: the same from every format, and each side judged by itself."""

import csv
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.domain.ids import ItemId
from cluster.domain.items import RejectedRow
from cluster.domain.jobs import SourceFormat
from cluster.domain.pairs import joined
from cluster.errors import InvalidField, MissingColumn
from cluster.settings import Limits, Settings
from ingest.blocks import Block, Columns
from ingest.bookmark import START
from ingest.checked import BlockCheck, Checked
from ingest.inline import InlineItem, inline_to_jsonl
from ingest.jsonl import jsonl_rows
from ingest.jsonl_blocks import jsonl_blocks
from ingest.rows import Absent, Candidate, Code, Layout, Row, layout_of
from ingest.validate import Validator
from tests.unit.ingest.support import Ingested, ingest, job, jsonl, layout, parquet, source

Triples = list[tuple[str, str, str]]

PAIRS = layout(modality="text_pair", pair_field="text_pair", record_bytes_max=2_000)
LIMITS = Limits(row_bytes_max=20)
CHECK = BlockCheck(Validator(PAIRS, LIMITS, fetch=lambda _: b""), "text_pair", text_bytes_max=20)

SIDES = st.one_of(
    st.none(),
    st.text(max_size=22),
    st.sampled_from(["", " \u2003", "\x1f", "a\x1fb", "é" * 10, "é" * 11, "a", "b"]),
)


def check(first: object, second: object) -> Candidate | RejectedRow:
    return Validator(PAIRS, LIMITS, fetch=lambda _: b"").check(Row(5, "a", first, second))


def as_jsonl(rows: Triples) -> bytes:
    return jsonl(*({"id": name, "text": one, "text_pair": two} for name, one, two in rows))


def as_csv(rows: Triples) -> bytes:
    stream = io.StringIO(newline="")
    header = [("text_pair", "id", "text")]
    csv.writer(stream).writerows([*header, *((two, name, one) for name, one, two in rows)])
    return stream.getvalue().encode()


def as_parquet(rows: Triples) -> bytes:
    names = ("id", "text", "text_pair")
    columns = zip(*rows, strict=True)
    return parquet(
        {name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)}
    )


def errors(found: Ingested) -> list[tuple[int, str, str]]:
    return [(error["line"], error["field"], error["code"]) for error in found.errors]


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", "d"]),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        ),
        max_size=8,
    )
)
def test_jsonl_csv_and_parquet_agree(rows: Triples) -> None:
    # Given random rows, with sides that are blank or hold the separator, and a good one
    rows = [*rows, ("e", "a\x1fb", "c"), ("f", "a", " "), ("last", "a text", "another")]
    files: list[tuple[SourceFormat, bytes]] = [
        ("jsonl", as_jsonl(rows)),
        ("csv", as_csv(rows)),
        ("parquet", as_parquet(rows)),
    ]
    # When they are ingested from each format
    found = [ingest(content, source(name), modality="text_pair") for name, content in files]
    # Then the items are the sound rows, both texts as one content
    kept: dict[str, str] = {}
    for name, *sides in rows:
        if name not in kept and not any("\x1f" in side or not side.strip() for side in sides):
            kept[name] = joined(*sides)
    for each in found:
        assert [item[1:] for item in each.items] == list(kept.items())
        assert errors(each) == errors(found[0])


def test_the_same_texts_in_another_order_are_another_content() -> None:
    rows: Triples = [("a", "x", "y"), ("b", "y", "x"), ("c", "x", "y")]
    assert ingest(as_jsonl(rows), modality="text_pair").progress.duplicates == 1


def test_columns_may_have_other_names() -> None:
    named = source(content_field="premise", pair_field="hypothesis")
    lines = jsonl({"id": 1, "premise": "it rains", "hypothesis": "it is wet"})
    assert ingest(lines, named, modality="text_pair").items == (
        (0, "1", joined("it rains", "it is wet")),
    )


def test_one_column_may_be_id_and_text() -> None:
    both = source(id_field="text_pair")
    lines = jsonl({"text_pair": "b", "text": "a"})
    assert ingest(lines, both, modality="text_pair").items == ((0, "b", joined("a", "b")),)


@pytest.mark.parametrize(
    ("first", "second", "field", "code", "detail"),
    [
        (Absent.ABSENT, "b", "text", Code.FIELD_MISSING, "the row has no 'text'"),
        ("a", Absent.ABSENT, "text_pair", Code.FIELD_MISSING, "the row has no 'text_pair'"),
        ("a", None, "text_pair", Code.FIELD_MISSING, "'text_pair' is null"),
        ("a", 7, "text_pair", Code.FIELD_TYPE, "'text_pair' is an integer, not a string"),
        (" ", "b", "text", Code.FIELD_EMPTY, "'text' holds nothing but white space"),
        ("a", "\t", "text_pair", Code.FIELD_EMPTY, "'text_pair' holds nothing but white space"),
        ("x" * 21, "b", "text", Code.FIELD_TOO_LARGE, "'text' has 21 bytes; the limit is 20"),
        (
            "a",
            "é" * 11,
            "text_pair",
            Code.FIELD_TOO_LARGE,
            "'text_pair' has 22 bytes; the limit is 20",
        ),
        (
            "a",
            b"b\x1f",
            "text_pair",
            Code.SEPARATOR_RESERVED,
            "character 2 of 'text_pair' is U+001F, which no text of a pair may hold",
        ),
        ("a", b"\xff", "text_pair", Code.UTF8_INVALID, "byte 1 of 'text_pair' is not UTF-8"),
    ],
)
def test_a_bad_side_is_named(
    first: object, second: object, field: str, code: Code, detail: str
) -> None:
    expected = RejectedRow(line=5, field=field, code=code, detail=detail, item_id=ItemId("a"))
    assert check(first, second) == expected


def test_each_side_may_be_as_long_as_a_text() -> None:
    found = check("x" * 20, b"\xc3\xa9" * 10)
    assert isinstance(found, Candidate)
    assert found.content == joined("x" * 20, "é" * 10)


def test_a_line_may_hold_two_texts_of_the_greatest_length() -> None:
    limits = Limits(row_bytes_max=1_000)
    wanted = layout_of(job(source(), "text_pair").spec, limits)
    line: Triples = [("a", "x" * 950, "y" * 950)]
    assert wanted.record_bytes_max == 2_000
    found = ingest(as_jsonl(line), settings=Settings(limits=limits), modality="text_pair")
    assert found.progress.items == 1


def test_a_file_without_the_second_column_is_refused() -> None:
    with pytest.raises(MissingColumn, match="'text_pair'"):
        ingest(b"id,text\n1,a\n", source("csv"), modality="text_pair")
    with pytest.raises(MissingColumn, match="'text_pair'"):
        ingest(parquet({"id": [1], "text": ["a"]}), source("parquet"), modality="text_pair")
    numbers = parquet({"id": [1], "text": ["a"], "text_pair": [2.0]})
    with pytest.raises(InvalidField, match=r"source\.pair_field"):
        ingest(numbers, source("parquet"), modality="text_pair")


def test_items_of_a_request_have_both_fields() -> None:
    content = inline_to_jsonl([InlineItem(id="a", text="one", text_pair="two")])
    assert json.loads(content) == {"id": "a", "text": "one", "text_pair": "two"}


def in_rows(*columns: pa.Array) -> list[Row]:
    values = zip(*(column.cast(pa.binary()).to_pylist() for column in columns), strict=True)
    return [Row(line, *each) for line, each in enumerate(values, 1)]


@given(
    rows=st.lists(st.tuples(st.text(min_size=1, max_size=3), SIDES, SIDES), max_size=9),
    kind=st.sampled_from([pa.string(), pa.large_string(), pa.string_view(), pa.binary()]),
)
def test_columns_tell_what_rows_would(rows: list[tuple[Any, ...]], kind: pa.DataType) -> None:
    # Given pairs in columns of any type, and the same as rows
    ids, texts, seconds = (
        pa.array([row[place] for row in rows], pa.string()).cast(kind) for place in range(3)
    )
    lines, by_row = np.arange(1, len(rows) + 1), in_rows(ids, texts, seconds)
    columns = Columns(
        lines=lines,
        starts=lines * 0,
        ids=ids,
        texts=texts,
        seconds=seconds,
        row=lambda index: by_row[index],
    )
    # Then both ways take and refuse the same
    found = CHECK.check(Block(columns=[columns]))
    expected = CHECK.check(Block(rows=by_row, starts=[0] * len(rows)))
    assert found.items.equals(expected.items)
    assert found.refused == expected.refused
    assert (found.content_digests == expected.content_digests).all()


LINES = st.lists(
    st.dictionaries(
        st.sampled_from(["id", "text", "text_pair", "z"]),
        st.one_of(SIDES, st.integers(), st.booleans(), st.lists(st.text(max_size=3), max_size=2)),
    ),
    max_size=8,
)


@given(lines=LINES, names=st.sampled_from([("id", "text"), ("text", "text"), ("text_pair", "id")]))
def test_jsonl_by_column_is_jsonl_line_by_line(
    lines: list[dict[str, Any]], names: tuple[str, str]
) -> None:
    wanted = layout(
        modality="text_pair",
        id_field=names[0],
        content_field=names[1],
        pair_field="text_pair",
        record_bytes_max=2_000,
    )
    content = jsonl(*lines)
    by_column = [block() for block in jsonl_blocks(io.BytesIO(content), wanted, START)]
    rows = list(jsonl_rows(io.BytesIO(content), wanted))
    found = taken(by_column, wanted)
    assert found == taken([Block(rows=rows, starts=[0] * len(rows))], wanted)


def taken(blocks: list[Block], wanted: Layout) -> tuple[list[Any], list[RejectedRow]]:
    judge = BlockCheck(Validator(wanted, LIMITS, fetch=lambda _: b""), "text_pair", 20)
    checked: list[Checked] = [judge.check(block) for block in blocks]
    items = [row for each in checked for row in each.items.drop(["start"]).to_pylist()]
    return items, [row for each in checked for row in each.refused]
