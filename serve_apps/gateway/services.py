"""All a gateway works with, handed to it from outside."""

from collections.abc import Callable
from dataclasses import dataclass

from allocation.ports import Crowd
from cluster.clock import Clock
from cluster.domain.ids import UnixSeconds
from cluster.egress import EgressGuard
from cluster.item_reader import ItemReader
from cluster.ports import Stores
from cluster.settings import Settings
from cluster.telemetry.port import Telemetry
from cluster.tracing import Tracing
from serve_apps.gateway.online import OnlineModels
from serve_apps.gateway.readiness import State
from serve_apps.gateway.trials import OnlineTrials


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the routes call; nothing in the gateway is global.

    `new_id` returns a fresh sortable id, `random_bytes` that many random bytes, and `readiness`
    why each part of the service is not ready, None where it is.
    """

    stores: Stores
    crowd: Crowd
    online: OnlineModels
    trials: OnlineTrials
    items: ItemReader
    egress: EgressGuard
    settings: Settings
    clock: Clock
    new_id: Callable[[], str]
    random_bytes: Callable[[int], bytes]
    readiness: Callable[[], State]
    telemetry: Telemetry
    tracing: Tracing


def sortable_id(now: UnixSeconds, randomness: bytes) -> str:
    """Return an id that sorts by time: milliseconds as 12 hex digits, then the random bytes."""
    return f"{int(now * 1000):012x}{randomness.hex()}"
