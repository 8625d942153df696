"""Stores an upload in one go, block by block."""

from collections.abc import AsyncIterator

from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool

from cluster import paths
from cluster.domain.access import Caller
from cluster.errors import EmptySource
from serve_apps.gateway.schemas.jobs import UploadView
from serve_apps.gateway.services import Services


async def store_upload(
    blocks: AsyncIterator[bytes], caller: Caller, services: Services
) -> UploadView:
    """Stream blocks to the object store as a new upload; raises EmptySource.

    Where reading them raises, nothing is left behind.
    """
    upload_id = f"upl-{services.new_id()}"
    size_bytes = 0
    output = services.stores.objects.open_output(paths.upload(caller.tenant_id, upload_id))
    async with contextmanager_in_threadpool(output) as stored:
        async for block in blocks:
            await run_in_threadpool(stored.write, block)
            size_bytes += len(block)
        if not size_bytes:
            raise EmptySource(f"upload://{upload_id}")
    return UploadView(id=upload_id, size_bytes=size_bytes)
