"""The leaves of the error tree (`cluster.errors`) that concern uploads."""

from cluster.domain.ids import TenantId
from cluster.errors import BadInput, Conflict, NotFound, Unavailable


class UnsupportedTus(BadInput):
    """A request of the resumable upload protocol names a version that is not spoken here."""

    def __init__(self, version: str, supported: str) -> None:
        super().__init__(f"Tus-Resumable is {version or 'missing'}; send {supported}")
        self.version, self.supported = version, supported


class UnsupportedChecksum(BadInput):
    """A piece of an upload comes with a checksum of an algorithm that is not known here."""

    def __init__(self, algorithm: str, supported: tuple[str, ...]) -> None:
        super().__init__(f"Upload-Checksum is of {algorithm!r}; send {', '.join(supported)}")
        self.algorithm, self.supported = algorithm, supported


class ChecksumMismatch(BadInput):
    """A piece of an upload does not have the checksum sent with it; nothing of it was stored."""

    def __init__(self, upload_id: str, offset: int) -> None:
        super().__init__(
            f"the bytes of upload {upload_id} from {offset:,} on do not match Upload-Checksum"
        )
        self.upload_id, self.offset = upload_id, offset


class UploadNotFound(NotFound):
    """The tenant has no such upload."""

    def __init__(self, tenant_id: TenantId, upload_id: str) -> None:
        super().__init__(f"there is no upload {upload_id}")
        self.tenant_id, self.upload_id = tenant_id, upload_id


class UploadOffsetConflict(Conflict):
    """A piece of an upload does not begin where the upload has come to."""

    def __init__(self, upload_id: str, offset: int, received: int) -> None:
        super().__init__(
            f"upload {upload_id} has come to byte {received:,}; it cannot go on from {offset:,}"
        )
        self.upload_id, self.offset, self.received = upload_id, offset, received


class UploadStalled(Unavailable):
    """A piece of an upload came too slowly, and was ended; what had come of it counts.

    Clients of tus go on after a 5xx and give up after most 4xx.
    """

    def __init__(self, upload_id: str, received: int) -> None:
        super().__init__(f"upload {upload_id} has stalled at byte {received:,}; go on from there")
        self.upload_id, self.received = upload_id, received
