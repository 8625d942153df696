"""Reads Thrift's compact protocol, as far as Parquet uses it, from bytes that nobody vouches for.

Stricter than Apache's own reader: what that one would skip, wrap around or guess is refused here,
so that both never understand the same bytes in two ways.
Protocol: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Iterator

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12

_FIXED_BYTES = {1: 0, 2: 0, 3: 1, 7: 8}
_VARINTS = frozenset({4, I32, I64})
_BITS = {I32: 32, I64: 64}
_BOOLEANS = frozenset({1, 2})
_FIELD_MAX = 2**15 - 1
_VARINT_BYTES_MAX = 10
_DEPTH_MAX = 16
_LONG_LIST = 15


class ThriftError(ValueError):
    """The bytes are not the struct they should be; never leaves this package."""


class Cursor:
    """A place in some bytes, which moves on with every value that is read or skipped.

    Every method raises ThriftError for malformed bytes, and EOFError where they end too early.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.position = 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield the id and kind of each field of a struct; the caller reads or skips its value."""
        field = 0
        while head := self._byte():
            step = head >> 4
            field = field + step if step else self._zigzag(32)
            if not 0 <= field <= _FIELD_MAX:
                raise ThriftError
            yield field, head & 15

    def integer(self, kind: int, wanted: int) -> int:
        """Read an integer that must be of the wanted kind, I32 or I64."""
        if kind != wanted:
            raise ThriftError
        return self._zigzag(_BITS[wanted])

    def binary(self, kind: int) -> bytes:
        """Read bytes."""
        if kind != BINARY:
            raise ThriftError
        size = self._varint()
        self._move(size)
        return self._content[self.position - size : self.position]

    def items(self, kind: int, wanted: int) -> range:
        """Read the head of a list whose items must be of one kind, and return its indices."""
        if kind != LIST:
            raise ThriftError
        size, found = self._list_head()
        if size and found != wanted:
            raise ThriftError
        return range(size)

    def skip(self, kind: int, depth: int = 0) -> None:
        """Pass over a value of any kind that Parquet uses."""
        if depth > _DEPTH_MAX:
            raise ThriftError
        if kind in _VARINTS:
            self._varint()
        elif kind in _FIXED_BYTES:
            self._move(_FIXED_BYTES[kind])
        elif kind == BINARY:
            self._move(self._varint())
        elif kind == STRUCT:
            for _, inner in self.fields():
                self.skip(inner, depth + 1)
        elif kind == LIST:
            self._skip_list(depth)
        else:
            raise ThriftError

    def _skip_list(self, depth: int) -> None:
        size, kind = self._list_head()
        if kind in _BOOLEANS:
            self._move(size)
            return
        for _ in range(size):
            self.skip(kind, depth + 1)

    def _list_head(self) -> tuple[int, int]:
        head = self._byte()
        size = head >> 4
        return (self._varint() if size == _LONG_LIST else size), head & 15

    def _byte(self) -> int:
        self._move(1)
        return self._content[self.position - 1]

    def _move(self, count: int) -> None:
        self.position += count
        if self.position > len(self._content):
            raise EOFError

    def _varint(self) -> int:
        value = 0
        for index in range(_VARINT_BYTES_MAX):
            byte = self._byte()
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value
        raise ThriftError

    def _zigzag(self, bits: int) -> int:
        value = self._varint()
        if value >> bits:
            raise ThriftError
        return (value >> 1) ^ -(value & 1)
