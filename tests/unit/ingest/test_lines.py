"""Splitting a stream into lines in bounded memory."""

import io
from typing import BinaryIO, cast

from hypothesis import given
from hypothesis import strategies as st

from ingest.lines import read_lines
from tests.memory import peak_memory


class Dripping(io.BytesIO):
    """A stream that gives a few bytes at a time, as a network may."""

    def __init__(self, content: bytes, step: int) -> None:
        super().__init__(content)
        self._step = step

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(self._step, 2**20 if size is None or size < 0 else size))


class LongLine(io.RawIOBase):
    """One line of any length, made while it is read, and a short one after it."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._end = b"\nshort\n"

    def read(self, size: int = -1, /) -> bytes:
        count = min(size, self._left)
        self._left -= count
        if count:
            return b"x" * count
        end, self._end = self._end, b""
        return end


@given(
    content=st.lists(st.sampled_from([b"a", b"bb", b"\n", b"\r\n", b'"', b"x" * 30])).map(b"".join),
    step=st.integers(1, 9),
    bytes_max=st.integers(0, 40),
)
def test_lines_are_those_of_split_however_the_bytes_arrive(
    content: bytes, step: int, bytes_max: int
) -> None:
    # Given a stream that arrives in pieces
    expected = content.split(b"\n")
    if not expected[-1]:
        expected.pop()
    # When it is split
    lines = list(read_lines(Dripping(content, step), bytes_max))
    # Then every line is there with its number and size, and those over the limit are empty-handed
    assert [line.number for line in lines] == list(range(1, len(expected) + 1))
    assert [line.size for line in lines] == [len(line) for line in expected]
    for line, whole in zip(lines, expected, strict=True):
        assert line.content == (whole if len(whole) <= bytes_max else None)
        if line.content is None:
            assert line.odd_quotes == (whole.count(b'"') % 2 == 1)


def test_the_utf8_mark_is_dropped_at_the_beginning_only() -> None:
    stream = io.BytesIO(b"\xef\xbb\xbfab\n\xef\xbb\xbfcd")
    assert [line.content for line in read_lines(stream, 10)] == [b"ab", b"\xef\xbb\xbfcd"]


def test_a_line_of_half_a_gigabyte_is_passed_over_in_little_memory() -> None:
    # Given a line far over the limit
    stream = cast("BinaryIO", LongLine(2**29))
    # When it is read
    with peak_memory() as peak:
        lines = list(read_lines(stream, 2**20))
    # Then it is reported with its size, the next one is whole, and only blocks were held
    assert [(line.content, line.size) for line in lines] == [(None, 2**29), (b"short", 5)]
    assert peak.bytes < 16 * 2**20
