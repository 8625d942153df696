"""Where the ingest of a job stands after a chunk: all that a run needs to go on from there."""

import json
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import BinaryIO, Self

from ingest.rows import Place

_SAMPLE_BYTES = 64 * 2**10

START = Place(1, 0)
_BEYOND_EVERY_LINE = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMark:
    """Tells a source from another in its place: its size, and a digest of its two ends."""

    size: int
    ends_digest: str

    @classmethod
    def of(cls, stream: BinaryIO) -> Self:
        """Return the mark of an open source, and leave it at its beginning."""
        size = stream.seek(0, 2)
        found = blake2b(digest_size=16)
        for start in (0, max(size - _SAMPLE_BYTES, 0)):
            stream.seek(start)
            found.update(stream.read(_SAMPLE_BYTES))
        stream.seek(0)
        return cls(size=size, ends_digest=found.hexdigest())

    @property
    def end(self) -> Place:
        """The place after the last row, whatever its number."""
        return Place(_BEYOND_EVERY_LINE, self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """Counts over the rows before `place`, which is the first row of the next chunk.

    `error_parts` counts the objects (`cluster.paths.error_part`) that hold their rejections.
    """

    source: SourceMark
    place: Place = START
    chunks: int = 0
    items: int = 0
    rejected: int = 0
    duplicates: int = 0
    content_bytes: int = 0
    error_parts: int = 0

    def to_json(self) -> bytes:
        """Return the bookmark as it is kept."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, kept: bytes) -> Self:
        """Return what `to_json` kept."""
        found = cls(**json.loads(kept))
        source = SourceMark(**json.loads(kept)["source"])
        return replace(found, source=source, place=Place(*found.place))
