"""Receives uploads in pieces: what has arrived is stored for good, part after part.

Any gateway continues any upload, for all that is known of one lies in the stores: its parts are
immutable objects, and a row says how far it has come. Two that continue it at the same time both
write objects, but only one of them moves the row.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from hashlib import new as new_hash
from typing import ParamSpec

from anyio import CancelScope
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from cluster import paths
from cluster.domain.ids import TenantId
from cluster.domain.uploads import Upload, UploadPart
from cluster.errors import (
    Conflict,
    MalformedBody,
    NotFound,
    ObjectMissing,
    SlowBody,
    TooLarge,
)
from cluster.upload_errors import (
    ChecksumMismatch,
    UploadNotFound,
    UploadOffsetConflict,
    UploadStalled,
)
from cluster.upload_reader import remove_upload, write_manifest
from serve_apps.gateway.acting import Actor
from serve_apps.gateway.pieces import Pieces
from serve_apps.gateway.quotas import quotas_of
from serve_apps.gateway.services import Services
from serve_apps.gateway.slots import UploadSlots
from serve_apps.gateway.tus import Checksum

P = ParamSpec("P")

_SWEPT_AT_ONCE = 10


class ResumableUploads:
    """The uploads in pieces of one gateway process."""

    def __init__(self, services: Services, slots: UploadSlots) -> None:
        self._services, self._slots = services, slots
        self._limits = services.settings.limits
        self._store, self._objects = services.stores.uploads, services.stores.objects

    def create(self, actor: Actor, length_bytes: int, metadata: str) -> Upload:
        """Store a new upload, whole at once where it is of no bytes.

        Raises TooLarge and QuotaExceeded.
        """
        limits, now, tenant_id = self._limits, self._services.clock.now(), actor.tenant_id
        upload_id = f"upl-{self._services.new_id()}"
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
        bytes_max = quotas_of(self._services, tenant_id).upload_bytes_max
        self._store.create(upload, bytes_max, actor.act("upload.create", upload_id))
        if upload.is_whole:
            self._finish(upload)
        return upload

    async def create_with(
        self,
        actor: Actor,
        created: Upload,
        body: AsyncIterator[bytes],
        checksum: Checksum | None,
    ) -> Upload:
        """Store the body that came with a creation; where it is refused the upload is gone.

        For nobody was told of it. Raises what `receive` raises.
        """
        async with AsyncExitStack() as unless_kept:
            unless_kept.push_async_callback(_shielded, self.remove, actor, created.upload_id)
            grown = await self.receive(created, 0, body, checksum)
            unless_kept.pop_all()
        return grown

    def get(self, tenant_id: TenantId, upload_id: str) -> Upload:
        """Return an upload as it stands; raises UploadNotFound, also where it has run out.

        Whoever is told that an upload is whole can use it, so one whose last part was stored by a
        gateway that died right then is finished here.
        """
        upload = self._services.stores.for_tenant(tenant_id).uploads.get(tenant_id, upload_id)
        if upload.is_whole and (upload.parts or not upload.length_bytes):
            self._finish_if_not(upload)
        elif not upload.is_whole and upload.expires_at <= self._services.clock.now():
            raise UploadNotFound(tenant_id, upload_id)
        return upload

    def remove(self, actor: Actor, upload_id: str) -> None:
        """Delete an upload and its bytes; raises UploadNotFound."""
        act = actor.act("upload.delete", upload_id)
        stores = self._services.stores.for_tenant(actor.tenant_id)
        remove_upload(stores, actor.tenant_id, upload_id, act)

    async def receive(
        self, upload: Upload, offset: int, body: AsyncIterator[bytes], checksum: Checksum | None
    ) -> Upload:
        """Store a body from an offset on and return the upload as it stands then.

        Where the body breaks off, what had arrived is kept; but with a checksum it is all of the
        body or nothing. Holds at most one part in memory. Raises UploadOffsetConflict,
        UploadStalled, ChecksumMismatch, MalformedBody, TooLarge, RateLimited, Overloaded and what
        reading the body raises.
        """
        if offset != upload.received_bytes:
            raise UploadOffsetConflict(upload.upload_id, offset, upload.received_bytes)
        self._check_parts(upload.upload_id, upload.parts)
        with self._slots.take(upload.tenant_id):
            if checksum is None:
                return await self._receive(upload, body)
            try:
                return await self._receive_checked(upload, body, checksum)
            except SlowBody:
                raise UploadStalled(upload.upload_id, upload.received_bytes) from None

    async def _receive(self, upload: Upload, body: AsyncIterator[bytes]) -> Upload:
        pieces = self._pieces(upload, body)
        while not pieces.ended:
            try:
                await pieces.fill()
            except (ClientDisconnect, asyncio.CancelledError, MalformedBody, SlowBody) as broken:
                with CancelScope(shield=True):
                    upload = await run_in_threadpool(self._keep, upload, pieces.take())
                if isinstance(broken, SlowBody):
                    raise UploadStalled(upload.upload_id, upload.received_bytes) from None
                raise
            upload = await run_in_threadpool(self._keep, upload, pieces.take())
        return upload

    async def _receive_checked(
        self, upload: Upload, body: AsyncIterator[bytes], checksum: Checksum
    ) -> Upload:
        pieces = self._pieces(upload, body)
        found = new_hash(checksum.algorithm, usedforsecurity=False)
        parts: list[UploadPart] = []
        async with AsyncExitStack() as unless_right:
            unless_right.push_async_callback(_shielded, self._delete, parts)
            offset = upload.received_bytes
            while not pieces.ended:
                await pieces.fill()
                content = pieces.take()
                if not content:
                    break
                self._check_parts(upload.upload_id, upload.parts + len(parts))
                await run_in_threadpool(found.update, content)
                parts.append(await run_in_threadpool(self._write, upload, offset, content))
                offset += len(content)
            if found.digest() != checksum.digest:
                raise ChecksumMismatch(upload.upload_id, upload.received_bytes)
            unless_right.pop_all()
        return await run_in_threadpool(self._record, upload, parts)

    def _pieces(self, upload: Upload, body: AsyncIterator[bytes]) -> Pieces:
        return Pieces(
            f"upload {upload.upload_id}",
            body,
            start_bytes=upload.received_bytes,
            end_bytes=upload.length_bytes,
            part_bytes=self._limits.upload_part_bytes,
            idle_s=self._limits.upload_part_timeout_s,
        )

    def _check_parts(self, upload_id: str, parts: int) -> None:
        if parts >= self._limits.upload_parts_max:
            parts_max = self._limits.upload_parts_max
            raise TooLarge(f"upload {upload_id}", parts + 1, parts_max, "parts")

    def _keep(self, upload: Upload, content: bytes) -> Upload:
        if not content:
            return upload
        self._check_parts(upload.upload_id, upload.parts)
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


async def _shielded(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Do something on a thread to its end, also for a request that is cancelled."""
    with CancelScope(shield=True):
        await run_in_threadpool(work, *args, **kwargs)
