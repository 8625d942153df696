"""Turns an accepted submit request into a stored job."""

from dataclasses import replace

from cluster import paths
from cluster.domain.access import Caller
from cluster.domain.ids import JobId
from cluster.domain.jobs import IdempotencyKey, Job, JobEvent, Source
from cluster.domain.models import model_name_of
from cluster.errors import Conflict, Denied, EmptySource, ObjectMissing, TooLarge
from cluster.tracing import current_traceparent
from cluster.upload_errors import UploadNotFound
from cluster.upload_reader import UPLOAD_SCHEME, open_upload
from ingest.inline import InlineItem, inline_to_jsonl
from ingest.recognisers import check_pii
from ingest.sources import Sources
from serve_apps.gateway.acting import Actor
from serve_apps.gateway.quotas import check_room_for_job, quotas_of
from serve_apps.gateway.schemas.job_request import (
    ItemBody,
    JobRequest,
    check,
    pii_terms_of,
    spec_of,
)
from serve_apps.gateway.services import Services


def submit(
    request: JobRequest, actor: Actor, services: Services, idempotency: IdempotencyKey | None
) -> tuple[Job, bool]:
    """Store a job and return it, and whether it was there already under its retry key.

    A job that is there already is returned whatever has become of its source since. Raises
    BadInput where the request cannot become a job, UploadNotFound, QuotaExceeded and
    IdempotencyMismatch.
    """
    caller = actor.caller
    if idempotency is not None:
        first = services.stores.jobs.find(caller.tenant_id, idempotency)
        if first is not None:
            return first, True
    check(request)
    terms = pii_terms_of(request)
    if terms is not None:
        check_pii(terms, services.settings)
    items = 1 if request.items is None else len(request.items)
    check_room_for_job(services, caller.tenant_id, items)
    expires_after_s = request.expires_after_s or services.settings.retention.job_ttl_s
    job_id = JobId(f"job-{services.new_id()}")
    asked = spec_of(request, _source(request, job_id, caller, services), expires_after_s)
    spec = replace(asked, traceparent=current_traceparent())
    now = services.clock.now()
    job = Job(
        job_id=job_id,
        tenant_id=caller.tenant_id,
        spec=spec,
        model_name=model_name_of(caller.tenant_id, spec),
        created_at=now,
        updated_at=now,
    )
    unfinished_max = quotas_of(services, caller.tenant_id).jobs_unfinished_max
    act = actor.act("job.submit", job_id, request)
    event = JobEvent(job_id=job_id, kind="submitted", at=now, message="the job is queued")
    try:
        stored = services.stores.jobs.create(job, idempotency, unfinished_max, act, [event])
    except (Denied, Conflict):
        _drop_inline(job, services)
        raise
    if stored.job_id != job_id:
        _drop_inline(job, services)
        return stored, True
    return stored, False


def _source(request: JobRequest, job_id: JobId, caller: Caller, services: Services) -> Source:
    """Return where the items are, after a look that they are there and may be read."""
    if request.items is not None:
        return _store_inline(request.items, job_id, caller, services)
    if request.upload_id is not None:
        uri = _upload_uri(request.upload_id, caller, services)
    else:
        uri = request.uri or ""
        bytes_max = services.settings.limits.source_bytes_max
        roots = services.settings.allowed_roots
        with Sources(services.stores.objects, caller.tenant_id, roots).open(uri, bytes_max):
            pass
    return Source(
        uri=uri,
        format=request.format or "jsonl",
        id_field=request.id_field,
        content_field=request.content_field,
        pair_field=request.pair_field,
        label_field=request.label_field,
    )


def _store_inline(
    items: list[ItemBody], job_id: JobId, caller: Caller, services: Services
) -> Source:
    """Store inline items as an upload of the job's own, so that they go with it and no sooner."""
    items_max = services.settings.limits.inline_items_max
    if len(items) > items_max:
        raise TooLarge("items", len(items), items_max, "entries")
    lines = inline_to_jsonl(
        InlineItem(id=item.id, text=item.text, text_pair=item.text_pair, image=item.image)
        for item in items
    )
    upload_id = _inline_id(job_id)
    services.stores.objects.write(paths.upload(caller.tenant_id, upload_id), lines)
    return Source(uri=f"{UPLOAD_SCHEME}{upload_id}", format="jsonl")


def _drop_inline(job: Job, services: Services) -> None:
    """Delete the inline items of a job that was not made, if it had any."""
    upload_id = _inline_id(job.job_id)
    if job.spec.source.uri == f"{UPLOAD_SCHEME}{upload_id}":
        services.stores.objects.delete(paths.upload(job.tenant_id, upload_id))


def _inline_id(job_id: JobId) -> str:
    return f"inline-{job_id}"


def _upload_uri(upload_id: str, caller: Caller, services: Services) -> str:
    uri = f"upload://{upload_id}"
    try:
        with open_upload(services.stores.objects, caller.tenant_id, upload_id) as stored:
            if not stored.read(1):
                raise EmptySource(uri)
    except ObjectMissing:
        raise UploadNotFound(caller.tenant_id, upload_id) from None
    return uri
