"""Uploads: files stored first and named by a job later."""

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool

from cluster import paths
from cluster.errors import EmptySource
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.schemas.jobs import UploadView

router = APIRouter(
    prefix="/v1/uploads", tags=["uploads"], dependencies=[Depends(require_role("client"))]
)

_RAW_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("", status_code=201, openapi_extra=_RAW_BODY)
async def upload(request: Request, caller: Authenticated, services: Wired) -> UploadView:
    """Store the request body as it is (JSONL, CSV or Parquet) and return its upload id.

    The body is streamed to the object store; a broken or oversized one leaves nothing behind.
    """
    upload_id = f"upl-{services.new_id()}"
    size_bytes = 0
    output = services.stores.objects.open_output(paths.upload(caller.tenant_id, upload_id))
    async with contextmanager_in_threadpool(output) as stored:
        async for block in request.stream():
            await run_in_threadpool(stored.write, block)
            size_bytes += len(block)
        if not size_bytes:
            raise EmptySource(f"upload://{upload_id}")
    return UploadView(id=upload_id, size_bytes=size_bytes)
