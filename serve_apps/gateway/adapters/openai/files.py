"""Files of batches: uploads with a name, and what a batch gives."""

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, BinaryIO, Literal, NamedTuple

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from cluster import paths
from cluster.domain.access import Caller
from cluster.domain.ids import JobId
from cluster.domain.jobs import Job, JobState
from cluster.errors import InvalidField, ObjectMissing
from cluster.upload_errors import UploadNotFound
from cluster.upload_reader import open_upload, remove_upload
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.acting import Acting
from serve_apps.gateway.adapters.openai.answers import answer_blocks, refusal_blocks
from serve_apps.gateway.adapters.openai.form import FileForm
from serve_apps.gateway.adapters.openai.refusals import PREFIX
from serve_apps.gateway.adapters.openai.schemas import FileDeleted, FileList, FileView
from serve_apps.gateway.adapters.records import Records
from serve_apps.gateway.downloads import attachment, download
from serve_apps.gateway.pages import limit_of
from serve_apps.gateway.routes.uploads import Whole
from serve_apps.gateway.schemas.formats import MEDIA_TYPES
from serve_apps.gateway.services import Services

FILES = f"{PREFIX}/files"
OUTPUT, ERRORS = "output", "errors"

router = APIRouter(prefix=FILES, dependencies=[Depends(require_role("client"))])

FileId = Annotated[str, Path(max_length=200)]

_MADE = re.compile(r"file-(job-[A-Za-z0-9]{1,60})-(output|errors)")
_PURPOSE = "batch"


class _Made(NamedTuple):
    """A file that a batch gives."""

    job_id: JobId
    part: str


@router.post("")
async def create_file(request: Request, actor: Acting, services: Wired, whole: Whole) -> FileView:
    """Store the form's file as an upload, block by block; its purpose must be `batch`."""
    form = FileForm(request.headers.get("content-type", ""), request.stream())
    stored = await whole.receive(actor, _batch_file(form), 0)
    file = FileView(
        id=f"file-{stored.upload_id}",
        bytes=stored.length_bytes,
        created_at=int(services.clock.now()),
        filename=form.filename[:200],
        purpose=_PURPOSE,
    )
    await run_in_threadpool(_files(actor.caller, services).put, file.id, file)
    return file


@router.get("")
def list_files(
    caller: Authenticated,
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    after: Annotated[str | None, Query(max_length=200)] = None,
    order: Literal["asc", "desc"] = "desc",
    purpose: Annotated[str, Query(max_length=100)] = _PURPOSE,
) -> FileList:
    """List uploaded files; what batches give is named by the batches."""
    if purpose != _PURPOSE:
        return FileList(data=(), first_id=None, last_id=None, has_more=False)
    files = _files(caller, services)
    found, has_more = files.page(after, limit, newest_first=order == "desc")
    first, last = (found[0].id, found[-1].id) if found else (None, None)
    return FileList(data=found, first_id=first, last_id=last, has_more=has_more)


@router.get("/{file_id}")
def retrieve_file(file_id: FileId, caller: Authenticated, services: Wired) -> FileView:
    """Show a file."""
    made = _made(file_id)
    if made is None:
        return uploaded_file(file_id, caller, services)
    job = services.stores.jobs.get(caller.tenant_id, made.job_id)
    return FileView(
        id=file_id,
        bytes=0,
        created_at=int(job.updated_at),
        filename=f"{made.job_id}-{made.part}.jsonl",
        purpose="batch_output",
    )


@router.head("/{file_id}/content")
@router.get("/{file_id}/content")
def file_content(request: Request, file_id: FileId, actor: Acting, services: Wired) -> Response:
    """Download a file: an upload as it was sent, or what a batch gives, as JSON Lines."""
    media_type, caller = MEDIA_TYPES["jsonl"], actor.caller
    made = _made(file_id)
    if made is not None:
        job = services.stores.jobs.get(caller.tenant_id, made.job_id)
        if not is_there(job, made.part):
            raise UploadNotFound(caller.tenant_id, file_id)
        headers = attachment(f"{file_id}.jsonl")
        if request.method == "HEAD":
            return StreamingResponse(iter(()), media_type=media_type, headers=headers)
        services.stores.audit.append(actor.act("job.export", job.job_id))
        blocks = answer_blocks if made.part == OUTPUT else refusal_blocks
        return StreamingResponse(
            blocks(services.stores, job), media_type=media_type, headers=headers
        )
    stored = open_file(file_id, caller, services)
    name = f"{file_id}.jsonl"
    return download(request, stored, version=file_id, media_type=media_type, name=name)


@router.delete("/{file_id}")
def delete_file(file_id: FileId, actor: Acting, services: Wired) -> FileDeleted:
    """Delete an uploaded file; a batch that has still to read it will fail."""
    if _made(file_id) is not None:
        raise InvalidField("file_id", "what a batch gives is part of its job and stays")
    uploaded_file(file_id, actor.caller, services)
    upload_id = upload_id_of(file_id)
    act = actor.act("upload.delete", upload_id)
    with suppress(UploadNotFound):  # it may have gone with the last batch that read it
        remove_upload(services.stores, actor.tenant_id, upload_id, act)
    _files(actor.caller, services).remove(file_id)
    return FileDeleted(id=file_id)


def uploaded_file(file_id: str, caller: Caller, services: Services) -> FileView:
    """Return a tenant's uploaded file; raises UploadNotFound."""
    found = _files(caller, services).find(file_id)
    if found is None:
        raise UploadNotFound(caller.tenant_id, file_id)
    return found


def open_file(file_id: str, caller: Caller, services: Services) -> BinaryIO:
    """Open a tenant's uploaded file; raises UploadNotFound, also where only its name is left."""
    uploaded_file(file_id, caller, services)
    try:
        return open_upload(services.stores.objects, caller.tenant_id, upload_id_of(file_id))
    except ObjectMissing:
        raise UploadNotFound(caller.tenant_id, file_id) from None


def upload_id_of(file_id: str) -> str:
    """Return the upload that an uploaded file is."""
    return file_id.removeprefix("file-")


def made_file_id(job: Job, part: str) -> str | None:
    """Return the id of a file that a job gives, None where it gives none, now or ever."""
    return f"file-{job.job_id}-{part}" if is_there(job, part) else None


def is_there(job: Job, part: str) -> bool:
    """Whether a job that has ended has answers, or errors, to give."""
    progress, failed = job.progress, job.progress.model_failed
    count = progress.final - failed if part == OUTPUT else progress.rejected + failed
    ended = job.state.is_terminal and job.state is not JobState.EXPIRED
    return ended and count > 0


async def _batch_file(form: FileForm) -> AsyncIterator[bytes]:
    """Yield a form's file; raises InvalidField, as soon as it is known, where it is for others."""
    async for block in form.blocks():
        if form.fields.get("purpose", _PURPOSE) != _PURPOSE:
            break
        yield block
    if form.fields.get("purpose") != _PURPOSE:
        raise InvalidField("purpose", f"must be {_PURPOSE}: nothing else is kept here")


def _made(file_id: str) -> _Made | None:
    match = _MADE.fullmatch(file_id)
    return None if match is None else _Made(JobId(match[1]), match[2])


def _files(caller: Caller, services: Services) -> Records[FileView]:
    return Records(services.stores.objects, caller.tenant_id, paths.OPENAI_FILES, FileView)
