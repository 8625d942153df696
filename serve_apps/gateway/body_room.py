"""How much of one tenant's bodies a gateway holds in memory: of those that come and of those that
are being answered."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.domain.ids import TenantId
from cluster.errors import RateLimited

COMING_BYTES = 128 * 1_024
"""What a body that is still coming counts as, at least; it has a place among all requests."""

ROOM_RETRY_S = 1.0
"""When to come back where a tenant's bodies are as much as they may be."""


class BodyRoom:
    """The room of one gateway; belongs to one event loop."""

    def __init__(self, tenant_bytes_max: int) -> None:
        self._tenant_bytes_max = tenant_bytes_max
        self._taken: Counter[TenantId] = Counter()

    @contextmanager
    def share(self, tenant_id: TenantId) -> Iterator["Share"]:
        """Hold a share of a tenant's room, nothing at first, while the context lasts."""
        share = Share(self._taken, tenant_id, self._tenant_bytes_max)
        try:
            yield share
        finally:
            share.resize(0)
            self._taken += Counter()  # drops tenants that hold nothing


class Share:
    """What one body takes of its tenant's room."""

    def __init__(self, taken: Counter[TenantId], tenant_id: TenantId, bytes_max: int) -> None:
        self._taken, self._tenant_id, self._bytes_max = taken, tenant_id, bytes_max
        self._size_bytes = 0

    def resize(self, size_bytes: int) -> None:
        """Take so much; raises RateLimited where that is more than the tenant's others leave.

        A body without others beside it has room, however large it may be.
        """
        others = self._taken[self._tenant_id] - self._size_bytes
        if size_bytes > self._size_bytes and others and others + size_bytes > self._bytes_max:
            limit = f"{self._bytes_max:,} bytes of a tenant's requests"
            raise RateLimited(limit, ROOM_RETRY_S)
        self._taken[self._tenant_id] = others + size_bytes
        self._size_bytes = size_bytes
