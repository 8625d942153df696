"""Uploads that arrive in pieces, in SQL."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import Connection, delete, func, insert, select, update

from cluster.domain.audit import Act
from cluster.domain.ids import TenantId, UnixSeconds
from cluster.domain.uploads import UnfinishedUploads, Upload, UploadPart, ran_out
from cluster.stores.sql import schema
from cluster.stores.sql.audit import note
from cluster.stores.sql.dialect import one_writer
from cluster.stores.sql.engine import Database
from cluster.tenant_errors import QuotaExceeded
from cluster.upload_errors import UploadNotFound, UploadOffsetConflict

_uploads, _parts = schema.uploads.c, schema.upload_parts.c
UPLOAD = [column for column in schema.uploads.c if column.name != "whole"]
_PART = [_parts.offset_bytes, _parts.size_bytes, _parts.path]


class SqlUploads:
    """An `UploadStore` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, upload: Upload, tenant_bytes_max: int, act: Act | None = None) -> None:
        """Store a new upload; raises QuotaExceeded."""
        with self._database.writing("create upload") as connection:
            one_writer(connection, f"uploads {upload.tenant_id}")
            used = stored_bytes(connection, upload.tenant_id)
            if used + upload.length_bytes > tenant_bytes_max:
                raise QuotaExceeded("upload_bytes", used, tenant_bytes_max)
            connection.execute(insert(schema.uploads), {**asdict(upload), "whole": upload.is_whole})
            note(connection, act)

    def get(self, tenant_id: TenantId, upload_id: str) -> Upload:
        """Return a tenant's upload; raises UploadNotFound."""
        with self._database.reading() as connection:
            return _upload(connection, tenant_id, upload_id)

    def append(self, upload: Upload, parts: Sequence[UploadPart]) -> Upload:
        """Add parts, all or none; raises UploadOffsetConflict and UploadNotFound."""
        received = upload.received_bytes + sum(part.size_bytes for part in parts)
        grown = replace(upload, received_bytes=received, parts=upload.parts + len(parts))
        # The condition is a part of the update, so that of two at once one finds nothing to change.
        advance = (
            update(schema.uploads)
            .where(
                _uploads.upload_id == upload.upload_id,
                _uploads.tenant_id == upload.tenant_id,
                _uploads.received_bytes == upload.received_bytes,
            )
            .values(
                received_bytes=received,
                parts=grown.parts,
                whole=grown.is_whole,
                expires_at=upload.expires_at,
            )
        )
        rows = [{**asdict(part), "upload_id": upload.upload_id} for part in parts]
        with self._database.writing("append upload parts") as connection:
            if connection.execute(advance).rowcount == 0:
                stored = _upload(connection, upload.tenant_id, upload.upload_id)
                raise UploadOffsetConflict(
                    upload.upload_id, upload.received_bytes, stored.received_bytes
                )
            if rows:
                connection.execute(insert(schema.upload_parts), rows)
        return grown

    def parts(self, upload_id: str) -> tuple[UploadPart, ...]:
        """Return an upload's parts in order."""
        with self._database.reading() as connection:
            return _parts_of(connection, upload_id)

    def unfinished(self, tenant_id: TenantId) -> UnfinishedUploads:
        """Return what a tenant's uploads that are not whole come to."""
        statement = select(
            func.count().label("count"),
            func.coalesce(func.sum(_uploads.length_bytes), 0).label("length_bytes"),
        ).where(_uploads.tenant_id == tenant_id, _uploads.whole.is_(False))
        with self._database.reading() as connection:
            row = connection.execute(statement).one()
        return UnfinishedUploads(count=row[0], length_bytes=int(row[1]))

    def remove(self, tenant_id: TenantId, upload_id: str) -> tuple[UploadPart, ...]:
        """Forget an upload and return what its parts were; raises UploadNotFound."""
        with self._database.writing("remove upload") as connection:
            _upload(connection, tenant_id, upload_id)
            return _remove(connection, upload_id)

    def remove_expired(self, now: UnixSeconds, limit: int) -> tuple[UploadPart, ...]:
        """Forget up to `limit` uploads that ran out before they were whole; return their parts."""
        expired = (
            select(_uploads.tenant_id, _uploads.upload_id)
            .where(_uploads.whole.is_(False), _uploads.expires_at <= now)
            .order_by(_uploads.expires_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._database.writing("remove expired uploads") as connection:
            found = connection.execute(expired).all()
            parts = [part for _, upload_id in found for part in _remove(connection, upload_id)]
            for tenant_id, upload_id in found:
                note(connection, ran_out(TenantId(tenant_id), upload_id, now))
        return tuple(parts)


def stored_bytes(connection: Connection, tenant_id: TenantId) -> int:
    """Return the lengths of all uploads of a tenant, those that are not whole included."""
    total = select(func.coalesce(func.sum(_uploads.length_bytes), 0))
    return int(connection.scalar(total.where(_uploads.tenant_id == tenant_id)) or 0)


def _upload(connection: Connection, tenant_id: TenantId, upload_id: str) -> Upload:
    statement = select(*UPLOAD).where(_uploads.upload_id == upload_id)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None or row["tenant_id"] != tenant_id:
        raise UploadNotFound(tenant_id, upload_id)
    return Upload(**row)


def _parts_of(connection: Connection, upload_id: str) -> tuple[UploadPart, ...]:
    statement = select(*_PART).where(_parts.upload_id == upload_id).order_by(_parts.offset_bytes)
    return tuple(UploadPart(**row) for row in connection.execute(statement).mappings())


def _remove(connection: Connection, upload_id: str) -> tuple[UploadPart, ...]:
    """Delete the upload's row first: whoever appends at the same moment waits for it."""
    connection.execute(delete(schema.uploads).where(_uploads.upload_id == upload_id))
    parts = _parts_of(connection, upload_id)
    connection.execute(delete(schema.upload_parts).where(_parts.upload_id == upload_id))
    return parts
