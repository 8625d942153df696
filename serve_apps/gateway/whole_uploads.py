"""Receives uploads that come in one request: all of one is stored, or nothing."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import BinaryIO

from anyio import CancelScope
from fastapi.concurrency import run_in_threadpool

from cluster import paths
from cluster.domain.audit import Act
from cluster.domain.ids import TenantId
from cluster.domain.uploads import Upload
from cluster.errors import EmptySource
from cluster.tenant_errors import QuotaExceeded
from serve_apps.gateway.acting import Actor
from serve_apps.gateway.pieces import Pieces
from serve_apps.gateway.quotas import check_room_for_bytes, quotas_of
from serve_apps.gateway.services import Services
from serve_apps.gateway.slots import UploadSlots


class WholeUploads:
    """The uploads in one request of one gateway process."""

    def __init__(self, services: Services, slots: UploadSlots) -> None:
        self._services, self._slots = services, slots
        self._limits = services.settings.limits
        self._store, self._objects = services.stores.uploads, services.stores.objects

    async def receive(
        self, actor: Actor, body: AsyncIterator[bytes], promised_bytes: int
    ) -> Upload:
        """Store a body as an upload; `promised_bytes` are its length as far as it is known, else 0.

        The row that makes it count against the tenant's quota is written when the object is there.
        Raises QuotaExceeded, RateLimited, Overloaded, SlowBody, TooLarge, EmptySource and what
        reading the body raises.
        """
        tenant_id, room_for = actor.tenant_id, max(promised_bytes, 1)
        await run_in_threadpool(check_room_for_bytes, self._services, tenant_id, room_for)
        upload_id = f"upl-{self._services.new_id()}"
        with self._slots.take(tenant_id):
            size_bytes = await self._stored(tenant_id, upload_id, body)
        upload = Upload(
            upload_id=upload_id,
            tenant_id=tenant_id,
            length_bytes=size_bytes,
            received_bytes=size_bytes,
            parts=0,
            metadata="",
            expires_at=self._services.clock.now(),
        )
        with CancelScope(shield=True):
            await run_in_threadpool(self._record, upload, actor.act("upload.create", upload_id))
        return upload

    async def _stored(self, tenant_id: TenantId, upload_id: str, body: AsyncIterator[bytes]) -> int:
        limits, size_bytes = self._limits, 0
        pieces = Pieces(
            "the upload",
            body,
            start_bytes=0,
            end_bytes=limits.upload_bytes_max,
            part_bytes=limits.upload_part_bytes,
            idle_s=limits.upload_part_timeout_s,
        )
        output = self._objects.open_output(paths.upload(tenant_id, upload_id))
        async with _on_threads(output) as stored:
            while not pieces.ended:
                await pieces.fill()
                content = pieces.take()
                await run_in_threadpool(stored.write, content)
                size_bytes += len(content)
            if not size_bytes:
                raise EmptySource(f"upload://{upload_id}")
        return size_bytes

    def _record(self, upload: Upload, act: Act) -> None:
        try:
            most = quotas_of(self._services, upload.tenant_id).upload_bytes_max
            self._store.create(upload, most, act)
        except QuotaExceeded:
            self._objects.delete(paths.upload(upload.tenant_id, upload.upload_id))
            raise


@asynccontextmanager
async def _on_threads(output: AbstractContextManager[BinaryIO]) -> AsyncIterator[BinaryIO]:
    """Enter and leave a context on threads; also a request that is cancelled leaves it to the end.

    FastAPI's own way leaves a context only on an `Exception`, and a cancelling is none.
    """

    async def leave(
        kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with CancelScope(shield=True):
            await run_in_threadpool(output.__exit__, kind, error, trace)

    async with AsyncExitStack() as entered:
        stored = await run_in_threadpool(output.__enter__)
        entered.push_async_exit(leave)
        yield stored
