"""Deletes what is kept no longer: jobs that expire, uploads that ran out, parts nobody knows of.

A job is shown as expired before anything of it goes, so that nothing is promised that is not there.
Each step may be repeated, and whoever dies half-way is followed by another who repeats it.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import groupby

from cluster import paths
from cluster.clock import Clock
from cluster.domain.audit import MUSTER, Act
from cluster.domain.ids import JobId, UnixSeconds
from cluster.domain.jobs import Job, JobEvent, JobState
from cluster.errors import StaleRevision
from cluster.jobs import expire
from cluster.ports import Stores
from cluster.settings import RetentionSettings
from cluster.upload_errors import UploadNotFound
from cluster.upload_reader import UPLOAD_SCHEME, remove_upload

_AT_ONCE = 100


def sweep(stores: Stores, settings: RetentionSettings, clock: Clock) -> None:
    """Delete all that is to go now."""
    while jobs := stores.retention.expiring(clock.now(), _AT_ONCE):
        for job in jobs:
            with suppress(StaleRevision):  # somebody else is at it
                _expire(stores, job, clock.now())
    while parts := stores.uploads.remove_expired(clock.now(), _AT_ONCE):
        _delete(stores, (part.path for part in parts))
    _drop_orphans(stores, clock.now() - settings.orphan_after_s)


def _expire(stores: Stores, job: Job, now: UnixSeconds) -> None:
    if job.state is not JobState.EXPIRED:
        expired = _expired(job.job_id, now)
        job = stores.jobs.save(
            expire(job, now), [expired], _act("job.expire", job, job.job_id, now)
        )
    _delete(stores, stores.objects.list(paths.job(job.job_id)))
    stores.retention.drop_contents(job.job_id)
    _drop_source(stores, job, now)
    stores.jobs.save(replace(job, expires_at=None))


def _drop_source(stores: Stores, job: Job, now: UnixSeconds) -> None:
    """Delete the upload that a job was read from, unless another job was read from it, too."""
    uri = job.spec.source.uri
    if not uri.startswith(UPLOAD_SCHEME) or stores.retention.is_source(job.tenant_id, uri):
        return
    upload_id = uri.removeprefix(UPLOAD_SCHEME)
    try:
        act = _act("upload.expire", job, upload_id, now)
        remove_upload(stores, job.tenant_id, upload_id, act)
    except UploadNotFound:  # inline items, and uploads of before there were rows of them
        stores.objects.delete(paths.upload(job.tenant_id, upload_id))
        stores.objects.delete(paths.openai_file(job.tenant_id, upload_id))


def _drop_orphans(stores: Stores, before: UnixSeconds) -> None:
    """Delete parts of uploads that no row knows of: their writer died before, or came too late."""
    found = stores.objects.list(paths.UPLOAD_PARTS)
    for folder, part_paths in groupby(found, key=lambda path: path.rpartition("/")[0]):
        upload_id = folder.rpartition("/")[2]
        if paths.upload_began_at(upload_id) >= before:
            continue
        upload = stores.retention.upload(upload_id)
        if upload is None:
            _delete(stores, part_paths)
        elif upload.is_whole:
            known = {part.path for part in stores.uploads.parts(upload_id)}
            known.add(paths.upload_manifest(upload.tenant_id, upload_id))
            _delete(stores, (path for path in part_paths if path not in known))


def _delete(stores: Stores, object_paths: Iterable[str]) -> None:
    for path in object_paths:
        stores.objects.delete(path)


def _act(action: str, job: Job, subject: str, now: UnixSeconds) -> Act:
    return Act(at=now, tenant_id=job.tenant_id, actor=MUSTER, action=action, subject=subject)


def _expired(job_id: JobId, now: UnixSeconds) -> JobEvent:
    return JobEvent(job_id=job_id, kind="state", at=now, message="the job is expired")
