"""When a batch came to each of its states, as far as its job's history tells."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.domain.ids import JobId, UnixSeconds
from cluster.domain.jobs import JobEvent, JobState
from cluster.ports import EventLog

_LOOKED_AT = 20
"""How many events are looked at from either end: a batch passes most of its states there."""

_STATES: Mapping[str, JobState] = {f"the job is {state}": state for state in JobState}
_ENDS = (JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """When a job first came to states, and when it was first asked to end."""

    came_to: Mapping[JobState, UnixSeconds]
    cancelling_at: int | None

    @property
    def end(self) -> JobState | None:
        """How the job ended, also where it has expired since; None where that is not known."""
        return next((state for state in _ENDS if state in self.came_to), None)

    def of(self, state: JobState | None) -> int | None:
        """Return when a job first came to a state, None where that is not known."""
        at = None if state is None else self.came_to.get(state)
        return None if at is None else int(at)


def moments_of(events: EventLog, job_id: JobId) -> Moments:
    """Read the moments of a job from both ends of its history."""
    newest = events.newest(job_id)
    found = [*events.read(job_id, 0, _LOOKED_AT)]
    if newest > _LOOKED_AT:
        found += events.read(job_id, max(newest - _LOOKED_AT, _LOOKED_AT), _LOOKED_AT)
    return _told_by(found)


def _told_by(events: Iterable[JobEvent]) -> Moments:
    came_to: dict[JobState, UnixSeconds] = {}
    cancelling_at = None
    for event in events:
        if event.kind == "state":
            # Of a job that fails, the event says why.
            came_to.setdefault(_STATES.get(event.message, JobState.FAILED), event.at)
        elif event.kind == "cancelling" and cancelling_at is None:
            cancelling_at = int(event.at)
    return Moments(came_to=came_to, cancelling_at=cancelling_at)
