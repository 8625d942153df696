"""Uploads: files stored first and named by a job later, in one go or in pieces (tus 1.0.0)."""

from email.utils import formatdate
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from cluster.domain.uploads import Upload
from cluster.errors import TooLarge
from serve_apps.gateway import tus
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.acting import Acting
from serve_apps.gateway.pages import Cursor, limit_of
from serve_apps.gateway.resumable import ResumableUploads
from serve_apps.gateway.schemas.uploads import UploadPage, UploadView, listed
from serve_apps.gateway.whole_uploads import WholeUploads

UPLOADS = "/v1/uploads"

router = APIRouter(prefix=UPLOADS, tags=["uploads"], dependencies=[Depends(require_role("client"))])


async def resumable_of(request: Request) -> ResumableUploads:
    """Return the uploads in pieces of the app that handles a request."""
    return cast("ResumableUploads", request.app.state.resumable)


async def speaks_tus(
    request: Request,
    tus_resumable: Annotated[str, Header(json_schema_extra={"enum": [tus.VERSION]})] = "",
) -> None:
    """Raise UnsupportedTus unless a request speaks the version that is spoken here."""
    del tus_resumable  # declared to be described
    tus.check_version(request.headers)


async def whole_of(request: Request) -> WholeUploads:
    """Return the uploads in one request of the app that handles a request."""
    return cast("WholeUploads", request.app.state.whole_uploads)


Whole = Annotated[WholeUploads, Depends(whole_of)]
Resumable = Annotated[ResumableUploads, Depends(resumable_of)]
UploadId = Annotated[str, Path(max_length=200)]


def _body_of(media_type: str) -> dict[str, Any]:
    schema = {"type": "string", "format": "binary"}
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


@router.post("", status_code=201, openapi_extra=_body_of("application/octet-stream"))
async def upload(
    request: Request, response: Response, actor: Acting, whole: Whole, pieces: Resumable
) -> UploadView:
    """Store the request body as it is (JSONL, CSV or Parquet) and return its upload id.

    The body is streamed to the object store; a broken or oversized one leaves nothing behind.

    With `Tus-Resumable: 1.0.0` it creates an upload of `Upload-Length` bytes instead, which is sent
    in pieces to the `Location` that is returned; a body is its first piece.
    """
    if "tus-resumable" not in request.headers:
        promised = int(request.headers.get("content-length", "0"))
        stored = await whole.receive(actor, request.stream(), promised)
        return UploadView(id=stored.upload_id, size_bytes=stored.length_bytes)
    tus.check_version(request.headers)
    length = tus.bytes_of(request.headers, "upload-length")
    metadata, checksum = tus.metadata_of(request.headers), tus.checksum_of(request.headers)
    with_bytes = "content-type" in request.headers
    if with_bytes:
        tus.check_media_type(request.headers)
    created = await run_in_threadpool(pieces.create, actor, length, metadata)
    if with_bytes:
        created = await pieces.create_with(actor, created, request.stream(), checksum)
    response.headers["Location"] = f"{UPLOADS}/{created.upload_id}"
    response.headers.update(_progress(created))
    return UploadView(id=created.upload_id, size_bytes=created.received_bytes)


@router.get("")
def list_uploads(
    caller: Authenticated,
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    cursor: Cursor = None,
) -> UploadPage:
    """List the tenant's uploads, newest first, those included that are not whole yet."""
    found = services.stores.quotas.uploads(caller.tenant_id, cursor, limit)
    return UploadPage(
        uploads=tuple(map(listed, found)),
        next_cursor=found[-1].upload_id if len(found) == limit else None,
    )


@router.options("", status_code=204)
async def uploads_options(services: Wired) -> Response:
    """Tell what of tus is spoken here."""
    return Response(
        status_code=204,
        headers={
            "Tus-Extension": tus.EXTENSIONS,
            "Tus-Max-Size": str(services.settings.limits.upload_bytes_max),
            "Tus-Checksum-Algorithm": ",".join(tus.DIGEST_BYTES),
        },
    )


@router.head("/{upload_id}", dependencies=[Depends(speaks_tus)])
def upload_progress(upload_id: UploadId, caller: Authenticated, pieces: Resumable) -> Response:
    """Tell how far an upload in pieces has come: `Upload-Offset`."""
    found = pieces.get(caller.tenant_id, upload_id)
    headers = {
        "Upload-Length": str(found.length_bytes),
        "Cache-Control": "no-store",
        **_progress(found),
    }
    if found.metadata:
        headers["Upload-Metadata"] = found.metadata
    return Response(headers=headers)


@router.patch(
    "/{upload_id}",
    status_code=204,
    openapi_extra=_body_of(tus.MEDIA_TYPE),
    dependencies=[Depends(speaks_tus)],
)
async def upload_piece(
    request: Request,
    upload_id: UploadId,
    caller: Authenticated,
    pieces: Resumable,
    upload_offset: Annotated[str, Header(description="Where the piece begins")] = "",
    upload_checksum: Annotated[str, Header(description="Algorithm, space, base64 digest")] = "",
) -> Response:
    """Add the body to an upload from `Upload-Offset` on.

    What arrives of a body that breaks off is kept, unless it came with `Upload-Checksum`.
    """
    del upload_offset, upload_checksum  # declared to be described
    tus.check_media_type(request.headers)
    offset = tus.bytes_of(request.headers, "upload-offset")
    checksum = tus.checksum_of(request.headers)
    found = await run_in_threadpool(pieces.get, caller.tenant_id, upload_id)
    _check_end(found, offset, request.headers.get("content-length"))
    grown = await pieces.receive(found, offset, request.stream(), checksum)
    return Response(status_code=204, headers=_progress(grown))


@router.delete("/{upload_id}", status_code=204, dependencies=[Depends(speaks_tus)])
def remove_upload(upload_id: UploadId, actor: Acting, pieces: Resumable) -> Response:
    """Delete an upload in pieces; a job that has still to read it will fail."""
    pieces.remove(actor, upload_id)
    return Response(status_code=204)


def _check_end(found: Upload, offset: int, content_length: str | None) -> None:
    """Refuse a body that is longer than what is missing, before it is sent."""
    end = offset + int(content_length or 0)
    if offset == found.received_bytes and end > found.length_bytes:
        raise TooLarge(f"upload {found.upload_id}", end, found.length_bytes)


def _progress(found: Upload) -> dict[str, str]:
    headers = {"Upload-Offset": str(found.received_bytes)}
    if not found.is_whole:
        headers["Upload-Expires"] = formatdate(found.expires_at, usegmt=True)
    return headers
