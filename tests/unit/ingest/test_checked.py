"""What a column tells at once is what the validator would have said of each row."""

import sys

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from cluster.settings import Limits
from ingest.blocks import Block, Columns
from ingest.checked import BlockCheck, Checked
from ingest.rows import Row
from ingest.validate import Validator
from tests.unit.ingest.support import layout

CHECK = BlockCheck(
    Validator(layout(), Limits(row_bytes_max=20), fetch=lambda _: b""), "text", text_bytes_max=20
)


def in_columns(ids: pa.Array, texts: pa.Array) -> Checked:
    lines = np.arange(1, len(ids) + 1)
    rows = in_rows(ids, texts)
    columns = Columns(
        lines=lines, starts=lines * 0, ids=ids, texts=texts, row=lambda index: rows[index]
    )
    return CHECK.check(Block(columns=[columns]))


def in_rows(ids: pa.Array, texts: pa.Array) -> list[Row]:
    values = zip(_plain(ids), _plain(texts), strict=True)
    return [Row(line, *pair) for line, pair in enumerate(values, 1)]


def one_by_one(ids: pa.Array, texts: pa.Array) -> Checked:
    return CHECK.check(Block(rows=in_rows(ids, texts), starts=[0] * len(ids)))


def _plain(column: pa.Array) -> list[object]:
    plain = column if pa.types.is_integer(column.type) else column.cast(pa.binary())
    return list(plain.to_pylist())


def assert_alike(ids: pa.Array, texts: pa.Array) -> None:
    found, expected = in_columns(ids, texts), one_by_one(ids, texts)
    assert found.items.equals(expected.items)
    assert found.refused == expected.refused
    assert (found.id_digests == expected.id_digests).all()
    assert (found.content_digests == expected.content_digests).all()


TEXTS = st.one_of(
    st.none(), st.text(max_size=22), st.sampled_from(["", " \u2003", "\x1c", "é" * 10, "é" * 11])
)


@given(
    rows=st.lists(st.tuples(st.one_of(TEXTS, st.just("x" * 201)), TEXTS), max_size=9),
    kind=st.sampled_from([pa.string(), pa.large_string(), pa.string_view(), pa.binary()]),
)
def test_texts_of_every_type(rows: list[tuple[str | None, str | None]], kind: pa.DataType) -> None:
    columns = [pa.array([row[place] for row in rows], pa.string()) for place in (0, 1)]
    assert_alike(*(column.cast(kind) for column in columns))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers_as_ids(ids: list[int]) -> None:
    assert_alike(pa.array(ids), pa.array(["x"] * len(ids)))


@given(st.lists(st.binary(max_size=5), min_size=1))
def test_bytes_that_are_not_utf8(texts: list[bytes]) -> None:
    ids = pa.array(range(len(texts)))
    assert_alike(ids, pa.array(texts))
    offsets = pa.array(np.cumsum([0, *map(len, texts)]), pa.int32()).buffers()[1]
    data = pa.py_buffer(b"".join(texts))
    assert_alike(ids, pa.Array.from_buffers(pa.string(), len(texts), [None, offsets, data]))


def test_white_space_is_the_same_to_both_for_every_character() -> None:
    # Given every character there is as a text of its own
    numbers = [number for number in range(sys.maxunicode + 1) if not 0xD800 <= number < 0xE000]
    texts = pa.array([chr(number) for number in numbers])
    found = in_columns(pa.array(numbers), texts)
    # Then those refused are those that Python calls white space, each by the validator's word
    refused = [numbers[row.line - 1] for row in found.refused]
    assert refused == [number for number in numbers if chr(number).isspace()]
    assert {row.code for row in found.refused} == {"field-empty"}
