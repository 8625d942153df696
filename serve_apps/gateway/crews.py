"""Which workers a caller may give work to."""

from collections.abc import Iterator, Sequence

from cluster.domain.access import Caller
from cluster.domain.ids import KeyId, WorkerId
from cluster.domain.work import WorkerProfile
from cluster.errors import InvalidField, WorkerNotFound
from cluster.ports import Stores


def crew_of(caller: Caller, worker_ids: Sequence[str], stores: Stores) -> tuple[WorkerProfile, ...]:
    """Return workers that keys of the caller's tenant have registered; an admin's may be anybody's.

    Raises WorkerNotFound for any other, and InvalidField where one is named twice. `stores` are
    those of the whole service: workers and keys are no tenant's rows.
    """
    if len(set(worker_ids)) < len(worker_ids):
        raise InvalidField("workers", "names a worker twice")
    return tuple(_own(caller, worker_ids, stores))


def _own(caller: Caller, worker_ids: Sequence[str], stores: Stores) -> Iterator[WorkerProfile]:
    is_own: dict[KeyId, bool] = {}
    for worker_id in map(WorkerId, worker_ids):
        profile = stores.workers.get(worker_id)
        if profile.owner not in is_own:
            key = stores.keys.find(profile.owner)
            of_tenant = key is not None and key.tenant_id == caller.tenant_id
            is_own[profile.owner] = of_tenant or caller.role == "admin"
        if not is_own[profile.owner]:
            raise WorkerNotFound(worker_id)
        yield profile
