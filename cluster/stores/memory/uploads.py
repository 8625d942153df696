"""Uploads that arrive in pieces, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from threading import Lock

from cluster.domain.audit import Act
from cluster.domain.ids import TenantId, UnixSeconds
from cluster.domain.uploads import UnfinishedUploads, Upload, UploadPart, ran_out
from cluster.stores.memory.audit import MemoryAudit
from cluster.tenant_errors import QuotaExceeded
from cluster.upload_errors import UploadNotFound, UploadOffsetConflict


class MemoryUploads:
    """An `UploadStore` in memory."""

    def __init__(self, audit: MemoryAudit) -> None:
        self._lock, self._audit = Lock(), audit
        self._uploads: dict[str, Upload] = {}
        self._parts: dict[str, list[UploadPart]] = {}

    def create(self, upload: Upload, tenant_bytes_max: int, act: Act | None = None) -> None:
        """Store a new upload; raises QuotaExceeded."""
        with self._lock:
            used = self._stored_bytes(upload.tenant_id)
            if used + upload.length_bytes > tenant_bytes_max:
                raise QuotaExceeded("upload_bytes", used, tenant_bytes_max)
            self._uploads[upload.upload_id] = upload
            self._parts[upload.upload_id] = []
            self._audit.note(act)

    def stored_bytes(self, tenant_id: TenantId) -> int:
        """Return the lengths of all uploads of a tenant, those that are not whole included."""
        with self._lock:
            return self._stored_bytes(tenant_id)

    def of_tenant(self, tenant_id: TenantId) -> list[Upload]:
        """Return all uploads of a tenant."""
        with self._lock:
            return self._of_tenant(tenant_id)

    def find(self, upload_id: str) -> Upload | None:
        """Return an upload, whoever owns it, None where there is none."""
        with self._lock:
            return self._uploads.get(upload_id)

    def get(self, tenant_id: TenantId, upload_id: str) -> Upload:
        """Return a tenant's upload; raises UploadNotFound."""
        with self._lock:
            return self._get(tenant_id, upload_id)

    def append(self, upload: Upload, parts: Sequence[UploadPart]) -> Upload:
        """Add parts, all or none; raises UploadOffsetConflict and UploadNotFound."""
        with self._lock:
            stored = self._get(upload.tenant_id, upload.upload_id)
            if stored.received_bytes != upload.received_bytes:
                raise UploadOffsetConflict(
                    upload.upload_id, upload.received_bytes, stored.received_bytes
                )
            received = upload.received_bytes + sum(part.size_bytes for part in parts)
            grown = replace(
                stored,
                received_bytes=received,
                parts=stored.parts + len(parts),
                expires_at=upload.expires_at,
            )
            self._uploads[upload.upload_id] = grown
            self._parts[upload.upload_id].extend(parts)
            return grown

    def parts(self, upload_id: str) -> tuple[UploadPart, ...]:
        """Return an upload's parts in order."""
        with self._lock:
            return tuple(self._parts.get(upload_id, ()))

    def unfinished(self, tenant_id: TenantId) -> UnfinishedUploads:
        """Return what a tenant's uploads that are not whole come to."""
        with self._lock:
            uploads = self._of_tenant(tenant_id)
            lengths = [upload.length_bytes for upload in uploads if not upload.is_whole]
        return UnfinishedUploads(count=len(lengths), length_bytes=sum(lengths))

    def remove(self, tenant_id: TenantId, upload_id: str) -> tuple[UploadPart, ...]:
        """Forget an upload and return what its parts were; raises UploadNotFound."""
        with self._lock:
            self._get(tenant_id, upload_id)
            return self._remove(upload_id)

    def remove_expired(self, now: UnixSeconds, limit: int) -> tuple[UploadPart, ...]:
        """Forget up to `limit` uploads that ran out before they were whole; return their parts."""
        with self._lock:
            expired = (
                upload
                for upload in self._uploads.values()
                if upload.expires_at <= now and not upload.is_whole
            )
            found = list(islice(expired, limit))
            for upload in found:
                self._audit.note(ran_out(upload.tenant_id, upload.upload_id, now))
            return tuple(part for upload in found for part in self._remove(upload.upload_id))

    def _stored_bytes(self, tenant_id: TenantId) -> int:
        return sum(each.length_bytes for each in self._of_tenant(tenant_id))

    def _of_tenant(self, tenant_id: TenantId) -> list[Upload]:
        return [each for each in self._uploads.values() if each.tenant_id == tenant_id]

    def _get(self, tenant_id: TenantId, upload_id: str) -> Upload:
        upload = self._uploads.get(upload_id)
        if upload is None or upload.tenant_id != tenant_id:
            raise UploadNotFound(tenant_id, upload_id)
        return upload

    def _remove(self, upload_id: str) -> tuple[UploadPart, ...]:
        del self._uploads[upload_id]
        return tuple(self._parts.pop(upload_id))
