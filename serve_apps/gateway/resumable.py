"""Receives uploads in pieces: what has arrived is stored for good, part after part.

Any gateway continues any upload, for all that is known of one lies in the stores: its parts are
immutable objects, and a row says how far it has come. Two that continue it at the same time both
write objects, but only one of them moves the row.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from hashlib import new as new_hash

from anyio import CancelScope
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from cluster import paths
from cluster.domain.ids import TenantId
from cluster.domain.uploads import Upload, UploadPart
from cluster.errors import (
    Conflict,
    EmptySource,
    MalformedBody,
    NotFound,
    ObjectMissing,
    Overloaded,
    TooLarge,
)
from cluster.upload_errors import ChecksumMismatch, UploadNotFound, UploadOffsetConflict
from cluster.upload_reader import write_manifest
from serve_apps.gateway.services import Services
from serve_apps.gateway.tus import Checksum

_SWEPT_AT_ONCE = 10


class ResumableUploads:
    """The uploads in pieces of one gateway process."""

    def __init__(self, services: Services) -> None:
        self._services, self._limits = services, services.settings.limits
        self._store, self._objects = services.stores.uploads, services.stores.objects
        self._streams = 0

    def create(self, tenant_id: TenantId, length_bytes: int, metadata: str) -> Upload:
        """Store a new upload; raises EmptySource, and TooLarge over the tenant's quota."""
        limits, now = self._limits, self._services.clock.now()
        upload_id = f"upl-{self._services.new_id()}"
        if not length_bytes:
            raise EmptySource(f"upload://{upload_id}")
        if length_bytes > limits.upload_bytes_max:
            raise TooLarge("the upload", length_bytes, limits.upload_bytes_max)
        self._delete(self._store.remove_expired(now, _SWEPT_AT_ONCE))
        others = self._store.unfinished(tenant_id)
        if others.count >= limits.unfinished_uploads_max:
            count = others.count + 1
            raise TooLarge("all unfinished uploads", count, limits.unfinished_uploads_max, "files")
        if others.length_bytes + length_bytes > limits.unfinished_bytes_max:
            promised = others.length_bytes + length_bytes
            raise TooLarge("all unfinished uploads", promised, limits.unfinished_bytes_max)
        upload = Upload(
            upload_id=upload_id,
            tenant_id=tenant_id,
            length_bytes=length_bytes,
            received_bytes=0,
            parts=0,
            metadata=metadata,
            expires_at=now + limits.upload_ttl_s,
        )
        self._store.create(upload)
        return upload

    def get(self, tenant_id: TenantId, upload_id: str) -> Upload:
        """Return an upload as it stands; raises UploadNotFound, also where it has run out.

        Whoever is told that an upload is whole can use it, so one whose last part was stored by a
        gateway that died right then is finished here.
        """
        upload = self._store.get(tenant_id, upload_id)
        if upload.is_whole:
            self._finish_if_not(upload)
        elif upload.expires_at <= self._services.clock.now():
            raise UploadNotFound(tenant_id, upload_id)
        return upload

    def remove(self, tenant_id: TenantId, upload_id: str) -> None:
        """Delete an upload and its bytes; raises UploadNotFound."""
        self._objects.delete(paths.upload_manifest(tenant_id, upload_id))
        self._delete(self._store.remove(tenant_id, upload_id))

    async def receive(
        self, upload: Upload, offset: int, body: AsyncIterator[bytes], checksum: Checksum | None
    ) -> Upload:
        """Store a body from an offset on and return the upload as it stands then.

        Where the body breaks off, what had arrived is kept; but with a checksum it is all of the
        body or nothing. Holds at most one part in memory. Raises UploadOffsetConflict,
        ChecksumMismatch, MalformedBody, TooLarge, Overloaded and what reading the body raises.
        """
        if offset != upload.received_bytes:
            raise UploadOffsetConflict(upload.upload_id, offset, upload.received_bytes)
        if upload.parts >= self._limits.upload_parts_max:
            parts_max = self._limits.upload_parts_max
            raise TooLarge(f"upload {upload.upload_id}", upload.parts + 1, parts_max, "parts")
        with self._stream():
            if checksum is None:
                return await self._receive(upload, body)
            return await self._receive_checked(upload, body, checksum)

    async def _receive(self, upload: Upload, body: AsyncIterator[bytes]) -> Upload:
        pieces = _Pieces(upload, body, self._limits.upload_part_bytes)
        while not pieces.ended:
            try:
                await self._fill(pieces)
            except (ClientDisconnect, asyncio.CancelledError, MalformedBody):
                with CancelScope(shield=True):
                    await run_in_threadpool(self._keep, upload, pieces.take())
                raise
            upload = await run_in_threadpool(self._keep, upload, pieces.take())
        return upload

    async def _receive_checked(
        self, upload: Upload, body: AsyncIterator[bytes], checksum: Checksum
    ) -> Upload:
        pieces = _Pieces(upload, body, self._limits.upload_part_bytes)
        found = new_hash(checksum.algorithm, usedforsecurity=False)
        parts: list[UploadPart] = []
        async with AsyncExitStack() as unless_right:
            unless_right.push_async_callback(run_in_threadpool, self._delete, parts)
            offset = upload.received_bytes
            while not pieces.ended:
                await self._fill(pieces)
                content = pieces.take()
                found.update(content)
                parts.append(await run_in_threadpool(self._write, upload, offset, content))
                offset += len(content)
            if found.digest() != checksum.digest:
                raise ChecksumMismatch(upload.upload_id, upload.received_bytes)
            unless_right.pop_all()
        return await run_in_threadpool(self._record, upload, parts)

    async def _fill(self, pieces: "_Pieces") -> None:
        timeout_s = self._limits.upload_part_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await pieces.fill()
        except TimeoutError:
            raise MalformedBody(f"less than a part came in {timeout_s:g} s; resume") from None

    def _keep(self, upload: Upload, content: bytes) -> Upload:
        if not content:
            return upload
        part = self._write(upload, upload.received_bytes, content)
        return self._record(upload, (part,))

    def _write(self, upload: Upload, offset: int, content: bytes) -> UploadPart:
        # Two who continue an upload at once must not write over one another.
        name = f"{offset:016d}-{self._services.random_bytes(6).hex()}"
        path = paths.upload_part(upload.tenant_id, upload.upload_id, name)
        self._objects.write(path, content)
        return UploadPart(offset_bytes=offset, size_bytes=len(content), path=path)

    def _record(self, upload: Upload, parts: Sequence[UploadPart]) -> Upload:
        """Make parts count, all or none; where they never will, their objects are deleted."""
        expires_at = self._services.clock.now() + self._limits.upload_ttl_s
        try:
            grown = self._store.append(replace(upload, expires_at=expires_at), parts)
        except (Conflict, NotFound):
            self._delete(parts)
            raise
        if grown.is_whole:
            self._finish(grown)
        return grown

    def _finish(self, upload: Upload) -> None:
        parts = self._store.parts(upload.upload_id)
        if sum(part.size_bytes for part in parts) != upload.length_bytes:
            raise UploadNotFound(upload.tenant_id, upload.upload_id)  # removed in the meantime
        write_manifest(self._objects, upload.tenant_id, upload.upload_id, parts)

    def _finish_if_not(self, upload: Upload) -> None:
        manifest = paths.upload_manifest(upload.tenant_id, upload.upload_id)
        try:
            self._objects.open_input(manifest).close()
        except ObjectMissing:
            self._finish(upload)

    def _delete(self, parts: Sequence[UploadPart]) -> None:
        for part in parts:
            self._objects.delete(part.path)

    @contextmanager
    def _stream(self) -> Iterator[None]:
        """Count a body that is being received; raises Overloaded over the limit."""
        if self._streams >= self._limits.upload_streams_max:
            raise Overloaded("the number of uploads at once", self._limits.upload_streams_max)
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1


class _Pieces:
    """A body, cut into pieces of about one part."""

    def __init__(self, upload: Upload, body: AsyncIterator[bytes], part_bytes: int) -> None:
        self.upload, self.ended = upload, False
        self._body, self._part_bytes = body, part_bytes
        self._arrived = upload.received_bytes
        self._buffer = bytearray()

    async def fill(self) -> None:
        """Wait for a part's worth of bytes or the end; raises TooLarge beyond the upload's end."""
        while len(self._buffer) < self._part_bytes:
            block = await anext(self._body, None)
            if block is None:
                self.ended = True
                return
            self._arrived += len(block)
            if self._arrived > self.upload.length_bytes:
                what = f"upload {self.upload.upload_id}"
                raise TooLarge(what, self._arrived, self.upload.length_bytes)
            self._buffer += block

    def take(self) -> bytes:
        """Return what is there and forget it."""
        content = bytes(self._buffer)
        self._buffer.clear()
        return content
