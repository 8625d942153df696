"""Errors of the object store: leaves of the tree that `cluster.errors` draws."""

from cluster.errors import Unavailable


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
