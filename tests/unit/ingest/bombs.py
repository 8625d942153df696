"""Small files that unpack to large ones."""

import gzip
import io
import struct
import zipfile
import zlib


def png_of_pixels(width: int, height: int) -> bytes:
    """Return a PNG that claims a size, with a first line of nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1_000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def gzip_of(content: bytes, times: int) -> bytes:
    """Return a gzip of so many members, each of the same content."""
    return gzip.compress(content) * times


def zip_of(content: bytes, times: int) -> bytes:
    """Return a zip of so many files, each of the same content."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(times):
            archive.writestr(f"{number}.jsonl", content)
    return stream.getvalue()
