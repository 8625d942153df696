"""What is shown of uploads."""

from datetime import datetime

from cluster.domain.uploads import Upload
from cluster.paths import upload_began_at
from serve_apps.gateway.schemas.base import Outgoing, utc


class UploadView(Outgoing):
    """A stored upload: `size_bytes` have arrived."""

    id: str
    size_bytes: int


class ListedUpload(UploadView):
    """An upload, and what it is to be: one that is not whole by `expires_at` is deleted.

    One that is whole has no such time, and stays until it is deleted or its last job expires.
    """

    length_bytes: int
    created_at: datetime
    expires_at: datetime | None


class UploadPage(Outgoing):
    """A page of uploads."""

    uploads: tuple[ListedUpload, ...]
    next_cursor: str | None


def listed(upload: Upload) -> ListedUpload:
    """Return an upload as lists show it."""
    return ListedUpload(
        id=upload.upload_id,
        size_bytes=upload.received_bytes,
        length_bytes=upload.length_bytes,
        created_at=utc(upload_began_at(upload.upload_id)),
        expires_at=None if upload.is_whole else utc(upload.expires_at),
    )
