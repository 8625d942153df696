"""How much of a source has been read, so that it can be told how long the rest will take."""

from collections.abc import Iterator
from typing import BinaryIO

from ingest.blocks import UnreadBlock
from ingest.bookmark import Bookmark
from ingest.columns import record_count
from ingest.rows import Layout

MarkedBlock = tuple[UnreadBlock, int]
"""A block, and the byte of the source up to which it was read."""


class Extent:
    """How much there is of one source, and how much of that was judged.

    Lines are measured by their bytes, Parquet by its records: of these alone it says beforehand how
    many there are, and its bytes are not read in order.
    """

    def __init__(self, stream: BinaryIO, layout: Layout, size_bytes: int) -> None:
        """Look how much there is; raises UnreadableSource for Parquet that is damaged."""
        self._stream, self._size_bytes = stream, size_bytes
        self._records = record_count(stream, layout) if layout.format == "parquet" else None
        self._judged_bytes = 0

    def marked(self, blocks: Iterator[UnreadBlock]) -> Iterator[MarkedBlock]:
        """Yield blocks, each with how far the source was read for it."""
        for block in blocks:
            yield block, self._stream.tell()

    def note(self, end_bytes: int) -> None:
        """Say that the rows up to a byte were judged."""
        self._judged_bytes = end_bytes

    def share(self, standing: Bookmark) -> float:
        """Return how much of the source was judged when so much of it is stored, from 0 to 1."""
        done, whole = standing.place.offset or self._judged_bytes, self._size_bytes
        if self._records is not None:
            done, whole = standing.place.line - 1, self._records
        return min(done / whole, 1.0) if whole else 1.0
