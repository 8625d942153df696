"""Page headers of real Parquet files, and of none."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.pages import Page, walk_pages
from ingest.thrift import ThriftError
from tests.unit.ingest.support import parquet


def column_pages(content: bytes, column: int = 0) -> list[Page]:
    found = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0).column(column)
    start = found.dictionary_page_offset or found.data_page_offset
    return list(walk_pages(io.BytesIO(content), start, start + found.total_compressed_size))


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_every_page_is_seen_whatever_its_kind(version: str, compression: str) -> None:
    # Given ten thousand texts in plain pages
    texts = [f"text number {number}" for number in range(10_000)]
    content = parquet(
        {"text": texts},
        use_dictionary=False,
        data_page_size=4_096,
        data_page_version=version,
        compression=compression,
    )
    # When its pages are walked
    pages = column_pages(content)
    # Then they hold all values, and unpack to the texts with 4 bytes of length each
    assert len(pages) == 10
    assert sum(page.values for page in pages) == 10_000
    unpacked = sum(page.unpacked_bytes for page in pages)
    assert 0 <= unpacked - sum(len(text) + 4 for text in texts) < 20 * len(pages)


def test_a_dictionary_is_a_page_too() -> None:
    pages = column_pages(parquet({"text": ["x" * 1_000, "y" * 1_000] * 500}))
    assert (pages[0].unpacked_bytes, pages[0].values) == (2_008, 2)
    assert pages[1].values == 1_000


def test_a_page_that_packs_a_thousandfold_shows_its_true_size() -> None:
    content = parquet({"text": ["x" * 5_000_000]}, use_dictionary=False, compression="zstd")
    assert len(content) < 5_000
    assert column_pages(content)[0].unpacked_bytes > 5_000_000


def test_long_statistics_do_not_hide_a_header() -> None:
    # Given a column whose longest values stand in its page headers as statistics
    texts = ["a" * 3_000, "b" * 3_000]
    content = parquet({"text": texts}, use_dictionary=False, data_page_version="2.0")
    # Then its page is read all the same
    assert [page.values for page in column_pages(content)] == [2]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x15", id="a field cut short"),
        pytest.param(b"\x15" + b"\xff" * 11, id="a number without end"),
        pytest.param(b"\x1c" * 2_000, id="structs without end"),
        pytest.param(b"\x1b\x00", id="a map"),
        pytest.param(b"\x00", id="no sizes"),
        pytest.param(b"\x25\x01\x15\x00\x00", id="a negative size"),
        pytest.param(b"\x18\xff\xff\xff\xff\x07\x00", id="a string beyond the end"),
    ],
)
def test_what_is_no_header_is_told_as_such(header: bytes) -> None:
    with pytest.raises((ThriftError, EOFError)):
        list(walk_pages(io.BytesIO(header), 0, 100))


def test_a_chunk_of_endless_empty_pages_is_given_up() -> None:
    # Given pages of no bytes, each header five bytes long, a million and one of them
    header = b"\x25\x00\x15\x00\x00"
    stream = io.BytesIO(header * 21)
    # When the walk is bounded to twenty
    pages = walk_pages(stream, 0, len(header) * 21, pages_max=20)
    # Then it ends there
    with pytest.raises((ThriftError, EOFError)):
        list(pages)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_walked_to_an_end(content: bytes, start: int) -> None:
    try:
        pages = list(walk_pages(io.BytesIO(content), start, len(content)))
    except (ThriftError, EOFError):
        return
    assert all(page.unpacked_bytes >= 0 for page in pages)


def test_random_damage_of_a_header_never_escapes() -> None:
    # Given a sound column and a thousand ways to damage its first header
    content = bytearray(parquet({"text": ["x" * 50] * 100}, use_dictionary=False))
    rng = np.random.default_rng(7)
    for _ in range(1_000):
        damaged = bytearray(content)
        damaged[4 + rng.integers(30)] = rng.integers(256)
        # Then the walk ends, or says that the header is corrupt
        try:
            assert len(list(walk_pages(io.BytesIO(bytes(damaged)), 4, 200))) <= 200
        except (ThriftError, EOFError):
            continue
