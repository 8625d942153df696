"""Rows of Parquet in all the types they come in, and Parquet made to do harm."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.errors import (
    BadInput,
    InvalidField,
    MissingColumn,
    StoreBusy,
    TooLarge,
    UnreadableSource,
)
from ingest.columns import PAGE_VALUES_MAX, parquet_rows
from ingest.rows import Row
from tests.unit.ingest.support import layout, parquet, picture


def read(content: bytes, **fields: Any) -> list[Row]:
    return list(parquet_rows(io.BytesIO(content), layout("parquet", **fields)))


class Failing(io.BytesIO):
    """A stream that breaks down after so many reads."""

    def __init__(self, content: bytes, reads_max: int) -> None:
        super().__init__(content)
        self.reads, self._reads_max = 0, reads_max

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > self._reads_max:
            raise StoreBusy("reading")
        return super().read(size)


def images(content: bytes) -> list[object]:
    rows = read(content, modality="image", content_field="image")
    return [row.content for row in rows]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int32(), pa.string()),
    ],
    ids=str,
)
def test_text_of_every_type_comes_as_its_bytes(kind: pa.DataType) -> None:
    # Given ids and texts in some Arrow type
    ids = pa.array(["a", None]).cast(kind)
    texts = pa.array(["één", "two"]).cast(kind)
    # When they are read
    rows = read(parquet({"id": ids, "more": [1, 2], "text": texts}))
    # Then they come as bytes, which are still to be checked
    assert rows == [Row(1, b"a", "één".encode()), Row(2, None, b"two")]


def test_ids_may_be_integers_and_a_column_may_be_all_null() -> None:
    rows = read(parquet({"id": pa.array([7, 2**63], pa.uint64()), "text": pa.nulls(2)}))
    assert rows == [Row(1, 7, None), Row(2, 2**63, None)]


def test_records_are_numbered_across_row_groups() -> None:
    content = parquet({"id": list(range(5_000)), "text": ["x"] * 5_000}, row_group_size=1_300)
    rows = read(content)
    assert [row.line for row in rows] == list(range(1, 5_001))
    assert [row.item_id for row in rows] == list(range(5_000))


def test_a_column_whose_name_has_a_dot_is_told_from_a_field_of_a_struct() -> None:
    texts = pa.array([{"b": "no"}])
    rows = read(parquet({"a": texts, "a.b": ["yes"], "id": [1]}), content_field="a.b")
    assert rows == [Row(1, 1, b"yes")]


def test_one_column_may_be_both_id_and_content() -> None:
    assert read(parquet({"text": ["a"]}), id_field="text") == [Row(1, b"a", b"a")]


def test_storage_that_fails_is_told_from_a_damaged_file() -> None:
    # Given a stream that breaks down after some reads, at any point of the file
    content = parquet({"id": list(range(3_000)), "text": ["x"] * 3_000}, row_group_size=1_000)
    reads = Failing(content, reads_max=10**9)
    list(parquet_rows(reads, layout("parquet")))
    for reads_max in range(reads.reads):
        # Then what the stream raises comes through as it is
        with pytest.raises(StoreBusy):
            list(parquet_rows(Failing(content, reads_max), layout("parquet")))


def test_text_that_is_not_utf8_is_left_for_the_validator() -> None:
    offsets = pa.py_buffer(b"\x00\x00\x00\x00\x02\x00\x00\x00")
    text = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff\xfe")])
    assert read(parquet({"id": [1], "text": text})) == [Row(1, 1, b"\xff\xfe")]


def test_images_come_as_bytes_as_text_or_as_hugging_face_stores_them() -> None:
    png = picture()
    assert images(parquet({"id": [1, 2], "image": [png, None]})) == [png, None]
    assert images(parquet({"id": [1], "image": ["s3://b/k.png"]})) == ["s3://b/k.png"]
    structs = [
        {"bytes": png, "path": "a.png"},
        {"bytes": None, "path": "file:///data/b.png"},
        {"bytes": None, "path": "b.png"},
        {"bytes": None, "path": None},
        None,
    ]
    found = images(parquet({"id": list(range(5)), "image": pa.array(structs)}))
    assert found == [png, "file:///data/b.png", None, None, None]
    assert images(parquet({"id": [1], "image": pa.array([{"bytes": png}])})) == [png]


def test_other_fields_of_a_struct_are_not_even_decoded() -> None:
    # Given a struct with a field that is far too large for the bound beside the image
    png = picture()
    structs = pa.array([{"bytes": png, "mask": b"m" * 500_000}])
    content = parquet({"id": [1], "image": structs}, use_dictionary=False)
    # Then the image is read within the bound
    bounds = {"modality": "image", "content_field": "image", "page_bytes_max": 10_000}
    assert [row.content for row in read(content, **bounds)] == [png]


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(MissingColumn) as error:
        read(parquet({"id": [1], "body": ["x"]}))
    assert (error.value.column, error.value.found) == ("text", ("id", "body"))


@pytest.mark.parametrize(
    ("columns", "field", "reason"),
    [
        (
            {"id": [1.5], "text": ["x"]},
            "source.id_field",
            "column 'id' holds double, not text or integers",
        ),
        (
            {"id": [1], "text": [["x"]]},
            "source.content_field",
            "column 'text' holds list<element: string>, not text",
        ),
        (
            {"id": [1], "text": [{"bytes": b"x"}]},
            "source.content_field",
            "column 'text' holds struct<bytes: binary>, not text",
        ),
    ],
)
def test_a_column_of_a_type_that_cannot_serve_is_refused_at_once(
    columns: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(InvalidField) as error:
        read(parquet(columns))
    assert (error.value.field, error.value.reason) == (field, reason)


def test_two_columns_of_one_name_are_refused() -> None:
    columns = [pa.array([1]), pa.array([2]), pa.array(["x"])]
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, ["id", "id", "text"]), stream)
    with pytest.raises(UnreadableSource) as error:
        read(stream.getvalue())
    assert error.value.reason == "it has more than one column 'id'"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"PAR1", id="too short"),
        pytest.param(b'{"id": 1, "text": "x"}\n', id="JSON"),
        pytest.param(b"PAR1" + b"\xff" * 100 + b"\x40\x00\x00\x00PAR1", id="footer of nonsense"),
        pytest.param(
            b"PAR1" + b"\x00" * 100 + b"\xff\xff\xff\x7fPAR1", id="footer beyond the file"
        ),
    ],
)
def test_what_is_not_parquet_is_told_as_such(content: bytes) -> None:
    with pytest.raises(UnreadableSource) as error:
        read(content)
    assert error.value.reason == "it is not Parquet, or its footer is damaged"


def test_an_empty_file_and_an_empty_table_have_no_rows() -> None:
    assert read(b"") == []
    assert read(parquet({"id": pa.array([], pa.int64()), "text": pa.array([], pa.string())})) == []


def test_damaged_pages_are_told_with_their_row_group() -> None:
    # Given two row groups, and noise over the packed texts of the second
    texts = [f"text {number} " * 20 for number in range(2_000)]
    options = {"compression": "zstd", "use_dictionary": False, "row_group_size": 1_000}
    content = bytearray(parquet({"id": list(range(2_000)), "text": texts}, **options))
    column = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(1).column(1)
    packed = content.index(b"\x28\xb5\x2f\xfd", column.data_page_offset)
    content[packed : packed + 50] = b"\xa5" * 50
    # When it is read
    rows = parquet_rows(io.BytesIO(bytes(content)), layout("parquet"))
    # Then the first group comes whole before the second is told to be damaged
    assert [next(rows).item_id for _ in range(1_000)] == list(range(1_000))
    with pytest.raises(UnreadableSource) as error:
        list(rows)
    assert error.value.reason == "row group 2 is damaged"


def test_a_page_over_the_bound_is_refused_before_it_is_unpacked() -> None:
    # Given a file of a few hundred bytes, one text of which unpacks to 20 MB
    content = parquet(
        {"id": [1], "text": ["x" * 20_000_000]}, compression="zstd", use_dictionary=False
    )
    assert len(content) < 8_000
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    rows = parquet_rows(io.BytesIO(content), layout("parquet", page_bytes_max=5_000_000))
    # When it is read within a bound of 5 MB
    with pytest.raises(TooLarge) as error:
        next(rows)
    # Then it is refused, and nothing was unpacked
    assert (error.value.what, error.value.unit) == ("a page of column 'text'", "bytes")
    assert error.value.size > 20_000_000
    assert pool.bytes_allocated() - before < 5_000_000


def test_a_column_under_a_false_name_is_bounded_like_any_other() -> None:
    # Given a text that unpacks to 20 MB, in a column chunk that the footer calls "tex2"
    content = parquet(
        {"id": [1], "text": ["x" * 20_000_000]}, compression="zstd", use_dictionary=False
    )
    path_in_schema = b"\x19\x18\x04text"
    assert content.count(path_in_schema) == 1
    lying = content.replace(path_in_schema, b"\x19\x18\x04tex2")
    # Then it is refused all the same
    with pytest.raises(TooLarge):
        read(lying, page_bytes_max=5_000_000)


def test_a_page_that_claims_too_many_values_is_refused() -> None:
    # Given a page whose header is made to claim 134 million values instead of a million: decoders
    # of delta encodings would allocate 4 bytes for each (arrow #49955)
    content = parquet(
        {"id": pa.array([0] * 2**20, pa.int64()), "text": ["x"] * 2**20},
        use_dictionary=["text"],
        column_encoding={"id": "DELTA_BINARY_PACKED"},
        compression="none",
        max_rows_per_page=2**21,
        data_page_size=2**30,
        write_batch_size=2**20,
    )
    truth, lie = b"\x80\x80\x80\x01", b"\xfe\xff\xff\x7f"
    at = content.index(truth)
    forged = content[:at] + lie + content[at + 4 :]
    # When it is read
    with pytest.raises(TooLarge) as error:
        read(forged)
    # Then it is refused
    assert (error.value.limit, error.value.unit) == (PAGE_VALUES_MAX, "values")


@pytest.mark.parametrize("encoding", ["PLAIN_DICTIONARY", "DELTA_BYTE_ARRAY"])
def test_a_text_repeated_by_its_encoding_is_unpacked_bit_by_bit(encoding: str) -> None:
    # Given 20,000 rows of one text of 10 kB, 200 MB in all, in a file of a few kB
    text = "x" * 10_000
    columns = {"id": list(range(20_000)), "text": [text] * 20_000}
    if encoding == "PLAIN_DICTIONARY":
        indices = pa.array([0] * 20_000, pa.int32())
        columns["text"] = pa.DictionaryArray.from_arrays(indices, [text])
        content = parquet(columns, compression="zstd", store_schema=False)
    else:
        content = parquet(
            columns,
            compression="zstd",
            use_dictionary=False,
            column_encoding={"text": encoding, "id": "PLAIN"},
        )
    assert len(content) < 400_000
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    # When it is read within a bound of 2 MB
    peak, rows = 0, 0
    bounds = layout("parquet", page_bytes_max=2_000_000)
    for row in parquet_rows(io.BytesIO(content), bounds):
        rows += 1
        peak = max(peak, pool.bytes_allocated() - before)
        assert row.content == text.encode()
    # Then every row is there, and never much more than the bound was unpacked
    assert rows == 20_000
    assert peak < 20_000_000


def test_all_that_a_source_may_unpack_to_is_bounded() -> None:
    indices = pa.array([0] * 5_000, pa.int32())
    texts = pa.DictionaryArray.from_arrays(indices, ["x" * 1_000])
    content = parquet({"id": list(range(5_000)), "text": texts}, store_schema=False)
    with pytest.raises(TooLarge) as error:
        read(content, decoded_bytes_max=1_000_000)
    assert (error.value.what, error.value.limit) == ("upload://x unpacked", 1_000_000)


def test_random_damage_of_the_footer_never_escapes() -> None:
    # Given a sound file and hundreds of ways to damage its footer, some of which made Arrow's own
    # view of the footer end the process
    content = parquet({"id": ["a", "b"] * 50, "text": ["x", "y"] * 50}, row_group_size=60)
    footer_bytes = int.from_bytes(content[-8:-4], "little")
    rng = np.random.default_rng(7)
    outcomes = set[type[BaseException] | None]()
    for _ in range(500):
        damaged = bytearray(content)
        for _ in range(rng.choice([1, 2, 5])):
            damaged[-8 - rng.integers(footer_bytes)] = rng.integers(256)
        # Then it is read, or refused for a reason
        try:
            read(bytes(damaged))
        except BadInput as error:
            outcomes.add(type(error))
        else:
            outcomes.add(None)
    assert {None, UnreadableSource} <= outcomes
