"""How many bodies of uploads are received at once: by one gateway, and of one tenant there."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.domain.ids import TenantId
from cluster.errors import Overloaded, RateLimited

SLOT_RETRY_S = 5.0
"""When to come back where a tenant sends as many as it may."""


class UploadSlots:
    """The places of one gateway; belongs to one event loop."""

    def __init__(self, slots_max: int, tenant_max: int) -> None:
        self._slots_max, self._tenant_max = slots_max, tenant_max
        self._taken: Counter[TenantId] = Counter()

    @contextmanager
    def take(self, tenant_id: TenantId) -> Iterator[None]:
        """Hold a place while the context lasts; raises RateLimited and Overloaded."""
        if self._taken[tenant_id] >= self._tenant_max:
            raise RateLimited(f"{self._tenant_max} uploads of a tenant", SLOT_RETRY_S)
        if self._taken.total() >= self._slots_max:
            raise Overloaded("the number of uploads at once", self._slots_max)
        self._taken[tenant_id] += 1
        try:
            yield
        finally:
            self._taken[tenant_id] -= 1
            self._taken += Counter()  # drops tenants that hold none
