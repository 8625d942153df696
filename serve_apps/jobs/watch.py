"""What the supervisor sees of the whole deployment, and tells its operators again and again."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from cluster.clock import Clock
from cluster.errors import Unavailable
from cluster.ports import Stores
from cluster.telemetry import catalogue as told
from cluster.telemetry.port import Telemetry
from serve_apps.gateway.readiness import State

WATCH_EVERY_S = 10.0

OVERDUE_S = 60.0
"""How long a webhook's message may be due before it counts as backlog."""

_logger = logging.getLogger(__name__)


class Watch:
    """Looks at the parts, the disk and the webhooks."""

    def __init__(
        self,
        stores: Stores,
        readiness: Callable[[], State],
        data_dir: Path,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._stores, self._readiness, self._data_dir = stores, readiness, data_dir
        self._clock, self._telemetry = clock, telemetry
        self._state: State = {}

    def look(self) -> None:
        """Tell how all of it stands now."""
        put = self._telemetry.set
        state = self._readiness()
        for part, reason in state.items():
            put(told.PART_READY, float(reason is None), part=part)
            if reason != self._state.get(part):
                _logger.warning("%s %s", part, "is well again" if reason is None else reason)
        self._state = state
        disk = shutil.disk_usage(self._data_dir)
        put(told.DISK_FREE, disk.free)
        put(told.DISK_SIZE, disk.total)
        try:
            overdue = self._stores.deliveries.overdue(self._clock.now() - OVERDUE_S)
        except Unavailable:
            return  # which the database's own figure tells
        put(told.WEBHOOK_BACKLOG, overdue)
