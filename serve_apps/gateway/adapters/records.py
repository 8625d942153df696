"""What an adapter must remember beside what the service knows: small JSON objects of a tenant."""

from collections import deque
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Generic, TypeVar

from pydantic import BaseModel

from cluster import paths
from cluster.domain.ids import TenantId
from cluster.errors import ObjectMissing
from cluster.ports import ObjectStore

Kept = TypeVar("Kept", bound=BaseModel)


class Records(Generic[Kept]):
    """One tenant's records of one kind, under names that sort by age.

    A page reads as many objects as it has rows; finding its place takes a listing of all names.
    """

    def __init__(
        self, objects: ObjectStore, tenant_id: TenantId, kind: str, model: type[Kept]
    ) -> None:
        self._objects, self._tenant_id, self._kind, self._model = objects, tenant_id, kind, model

    def put(self, name: str, record: Kept) -> None:
        """Keep a record."""
        self._objects.write(self._path(name), record.model_dump_json().encode())

    def find(self, name: str) -> Kept | None:
        """Return a record, None where there is none."""
        try:
            return self._model.model_validate_json(self._objects.read(self._path(name)))
        except ObjectMissing:
            return None

    def remove(self, name: str) -> None:
        """Forget a record, if there is one."""
        self._objects.delete(self._path(name))

    def page(
        self, after: str | None, limit: int, *, newest_first: bool
    ) -> tuple[tuple[Kept, ...], bool]:
        """Return up to `limit` records that come after a name, and whether there are more."""
        names = self._names()
        if newest_first:
            older = (name for name in names if after is None or name < after)
            found = list(deque(older, maxlen=limit + 1))[::-1]
        else:
            newer = (name for name in names if after is None or name > after)
            found = [name for name, _ in zip(newer, range(limit + 1), strict=False)]
        records = (self.find(name) for name in found[:limit])
        return tuple(record for record in records if record is not None), len(found) > limit

    def _names(self) -> Iterator[str]:
        folder = paths.adapter_records(self._tenant_id, self._kind)
        return (PurePosixPath(path).stem for path in self._objects.list(folder))

    def _path(self, name: str) -> str:
        return paths.adapter_record(self._tenant_id, self._kind, name)
