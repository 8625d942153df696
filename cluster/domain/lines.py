"""Model lines: which version of each is live, which is on trial, and how it came to that."""

from dataclasses import dataclass
from enum import StrEnum

from cluster.domain.ids import ModelName, UnixSeconds


class Stage(StrEnum):
    """Where a version stands in its line.

    `shadow` answers online requests beside the live version, unseen; `canary` answers a share of
    them. `retired` was live or on trial until another took its place, `rejected` failed its trial,
    and `rolled_back` was live until it turned out worse than the one before it.
    """

    REGISTERED = "registered"
    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"
    RETIRED = "retired"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"


TRIALS = frozenset({Stage.SHADOW, Stage.CANARY})


@dataclass(frozen=True, slots=True, kw_only=True)
class LineStep:
    """An immutable row of a line's history: `version` enters `stage`, and `live` is live then.

    Rows of a line are numbered from 1 by `revision`; the newest one says how the line stands.
    `over` was live before, None at the line's beginning. `by` is who took the step, a job, a key or
    the service itself, and `p_value` that of the test that led to it, None where nobody tested.
    """

    name: ModelName
    revision: int
    version: int
    stage: Stage
    over: int | None
    live: int
    by: str
    reason: str
    p_value: float | None
    at: UnixSeconds

    @property
    def candidate(self) -> int | None:
        """The version on trial after this step, None where there is none."""
        return self.version if self.stage in TRIALS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What online requests have shown of a version in a stage, summed over all gateways.

    `items` were answered by it. Of those compared with the live version's answers, it failed on
    `failed` where the live one did not and the other way round on `live_failed`; `disagreed` got
    another label. `seconds` is how long its answers took, `live_seconds` the live one's to the
    same. `last_at` is when the last request came.
    """

    name: ModelName
    version: int
    stage: Stage
    items: int = 0
    disagreed: int = 0
    failed: int = 0
    live_failed: int = 0
    seconds: float = 0.0
    live_seconds: float = 0.0
    last_at: UnixSeconds = 0.0

    def __add__(self, other: "Traffic") -> "Traffic":
        """Return both together; they are of one version in one stage."""
        return Traffic(
            name=self.name,
            version=self.version,
            stage=self.stage,
            items=self.items + other.items,
            disagreed=self.disagreed + other.disagreed,
            failed=self.failed + other.failed,
            live_failed=self.live_failed + other.live_failed,
            seconds=self.seconds + other.seconds,
            live_seconds=self.live_seconds + other.live_seconds,
            last_at=max(self.last_at, other.last_at),
        )
