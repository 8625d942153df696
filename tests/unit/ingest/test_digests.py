"""The compiled hash is BLAKE2b."""

from hashlib import blake2b

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.digests import DIGEST_BYTES, digests_of


@given(st.lists(st.binary(max_size=400), max_size=20), st.integers(0, 3))
def test_it_is_what_the_standard_library_computes(values: list[bytes], sliced: int) -> None:
    whole = pa.array(values, pa.binary())
    column = pa.chunked_array([whole.slice(sliced), whole])
    expected = [blake2b(value, digest_size=DIGEST_BYTES).digest() for value in column.to_pylist()]
    assert [row.tobytes() for row in digests_of(column)] == expected


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 255, 256, 257, 100_000])
def test_sizes_about_those_of_its_blocks(size: int) -> None:
    value = bytes(number % 251 for number in range(size))
    [found] = digests_of(pa.chunked_array([pa.array([value, b"x"])]))[:1]
    assert found.tobytes() == blake2b(value, digest_size=DIGEST_BYTES).digest()
