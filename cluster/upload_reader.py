"""Opens and removes uploads, whether they were stored in one go or in parts."""

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from typing import BinaryIO, cast

from pydantic import TypeAdapter

from cluster import paths
from cluster.domain.audit import Act
from cluster.domain.ids import TenantId
from cluster.domain.uploads import UploadPart
from cluster.errors import ObjectMissing
from cluster.ports import ObjectStore, Stores

UPLOAD_SCHEME = "upload://"

_BUFFER_BYTES = 2**20
_MANIFEST = TypeAdapter(tuple[UploadPart, ...])


def write_manifest(
    objects: ObjectStore, tenant_id: TenantId, upload_id: str, parts: Sequence[UploadPart]
) -> None:
    """Make an upload in parts whole: from now on `open_upload` finds it."""
    manifest = _MANIFEST.dump_json(tuple(parts))
    objects.write(paths.upload_manifest(tenant_id, upload_id), manifest)


def open_upload(objects: ObjectStore, tenant_id: TenantId, upload_id: str) -> BinaryIO:
    """Open a whole upload for random access; raises ObjectMissing."""
    path = paths.upload(tenant_id, upload_id)
    try:
        return objects.open_input(path)
    except ObjectMissing:
        pass
    try:
        manifest = objects.read(paths.upload_manifest(tenant_id, upload_id))
    except ObjectMissing:
        raise ObjectMissing(path) from None
    parts = _Parts(objects, _MANIFEST.validate_json(manifest))
    return cast("BinaryIO", io.BufferedReader(parts, _BUFFER_BYTES))


def remove_upload(stores: Stores, tenant_id: TenantId, upload_id: str, act: Act) -> None:
    """Delete an upload, its bytes and what lists it as a file; raises UploadNotFound.

    The act is recorded first. What names the upload goes next, so that nobody opens half of it.
    """
    stores.uploads.get(tenant_id, upload_id)
    stores.audit.append(act)
    stores.objects.delete(paths.upload_manifest(tenant_id, upload_id))
    stores.objects.delete(paths.upload(tenant_id, upload_id))
    stores.objects.delete(paths.openai_file(tenant_id, upload_id))
    for part in stores.uploads.remove(tenant_id, upload_id):
        stores.objects.delete(part.path)


class _Parts(io.RawIOBase):
    """Parts that follow one another, as one file; at most one of them is open."""

    def __init__(self, objects: ObjectStore, parts: Sequence[UploadPart]) -> None:
        self._objects, self._parts = objects, parts
        self._starts = [part.offset_bytes for part in parts]
        self._size = parts[-1].offset_bytes + parts[-1].size_bytes if parts else 0
        self._position = 0
        self._opened: tuple[UploadPart, BinaryIO] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill the buffer as far as one part reaches; 0 at the end."""
        if self._position >= self._size:
            return 0
        part = self._parts[bisect_right(self._starts, self._position) - 1]
        stream = self._open(part)
        into = self._position - part.offset_bytes
        stream.seek(into)
        block = stream.read(min(len(buffer), part.size_bytes - into))
        if not block:
            raise OSError(f"a part of an upload is shorter than the {part.size_bytes} bytes stored")
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)

    def close(self) -> None:
        self._release()
        super().close()

    def _open(self, part: UploadPart) -> BinaryIO:
        if self._opened is None or self._opened[0] is not part:
            self._release()
            self._opened = part, self._objects.open_input(part.path)
        return self._opened[1]

    def _release(self) -> None:
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None
