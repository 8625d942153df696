"""Errors of the object store: leaves of the tree that `cluster.errors` draws."""

import errno

from cluster.errors import Unavailable

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BUCKET_HAS_NO_ROOM = "HTTP status 507"
"""What Arrow's message holds then; it has no codes for what a bucket says."""


def is_no_room(error: OSError) -> bool:
    """Return whether an error says that a disk, a quota or a bucket takes no more."""
    return error.errno in _NO_ROOM or _BUCKET_HAS_NO_ROOM in str(error)


class StorageFull(Unavailable):
    """There is no room for an object: a disk, a quota or a limit on files is used up."""

    retry_after_s = 60.0

    def __init__(self, path: str) -> None:
        super().__init__(f"the object store has no room for {path}; nothing of it was stored")
        self.path = path


class StorageUnreachable(Unavailable):
    """The object store does not answer, or refuses what it is asked."""

    retry_after_s = 5.0

    def __init__(self, path: str) -> None:
        super().__init__(f"the object store cannot be reached for {path}")
        self.path = path
