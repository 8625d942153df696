"""Our own reading of a Parquet footer against Arrow's, and what only ours refuses."""

import io

import pyarrow.parquet as pq
import pytest

from ingest.footer import ColumnChunk, read_footer
from ingest.thrift import I32, I64, STRUCT, Cursor, ThriftError
from tests.unit.ingest.support import parquet


def test_columns_lie_where_arrow_says() -> None:
    # Given a file of three row groups and four leaves
    columns = {
        "id": list(range(250)),
        "text": [f"text {number % 9}" for number in range(250)],
        "image": [{"bytes": b"x", "path": "y"}] * 250,
    }
    content = parquet(columns, row_group_size=100)
    footer_bytes = int.from_bytes(content[-8:-4], "little")
    # When its footer is read
    groups = read_footer(content[-8 - footer_bytes : -8])
    # Then it agrees with Arrow
    metadata = pq.ParquetFile(io.BytesIO(content)).metadata
    assert [group.rows for group in groups] == [100, 100, 50]
    for number, group in enumerate(groups):
        theirs = [metadata.row_group(number).column(index) for index in range(4)]
        starts = [c.dictionary_page_offset or c.data_page_offset for c in theirs]
        assert group.columns == tuple(
            ColumnChunk(start, start + column.total_compressed_size)
            for start, column in zip(starts, theirs, strict=True)
        )


@pytest.mark.parametrize(
    "footer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x49\x1c\x19\x1c\x00", id="cut short"),
        pytest.param(b"\x45\x02\x00", id="row groups that are no list"),
        pytest.param(b"\x49\x15\x02\x00", id="row groups that are no structs"),
        pytest.param(b"\x49\x1c\x19\x1c\x00\x00\x00", id="a column without metadata"),
        pytest.param(b"\x49\x1c\x35\x02\x00\x00", id="rows of another kind of integer"),
        pytest.param(b"\x49\x1c\x19\x1c\x3c\x96\x01\x00\x00\x00\x00", id="an offset before zero"),
    ],
)
def test_a_footer_that_could_be_read_in_two_ways_is_refused(footer: bytes) -> None:
    with pytest.raises((ThriftError, EOFError)):
        read_footer(footer)


def test_integers_are_zigzag_and_of_the_size_they_claim() -> None:
    assert Cursor(b"\x03").integer(I32, I32) == -2
    assert Cursor(b"\xfe\xff\xff\xff\x0f").integer(I32, I32) == 2**31 - 1
    with pytest.raises(ThriftError):
        Cursor(b"\x80\x80\x80\x80\x10").integer(I32, I32)
    with pytest.raises(ThriftError):
        Cursor(b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02").integer(I64, I64)
    with pytest.raises(ThriftError):
        Cursor(b"\x02").integer(I32, I64)


@pytest.mark.parametrize(
    "struct",
    [
        pytest.param(b"\x0c\x01" + b"\x00", id="a field before zero"),
        pytest.param(b"\x05\x80\x80\x04\x00\x00", id="a field beyond 32,767"),
        pytest.param(b"\x1d\x00", id="a kind nobody knows"),
        pytest.param(b"\x19\xfb\xff\xff\xff\xff\x0f", id="a list of maps"),
        pytest.param(b"\x1c" * 40 + b"\x00" * 41, id="nested too deeply"),
    ],
)
def test_structs_out_of_bounds_are_refused(struct: bytes) -> None:
    with pytest.raises(ThriftError):
        Cursor(struct).skip(STRUCT)


def test_a_value_of_any_kind_is_skipped_to_its_end() -> None:
    # Given a struct with booleans, integers, a double, bytes, lists and a struct
    struct = (
        b"\x11\x12\x13\x07\x14\x02\x15\x02\x16\x02\x17" + bytes(8) + b"\x18\x02ab"
        b"\x19\x35\x02\x02\x02\x19\x31\x01\x02\x01\x1c\x15\x02\x00\x00"
    )
    cursor = Cursor(struct + b"rest")
    cursor.skip(STRUCT)
    assert cursor.position == len(struct)
