"""A stream of a job's events as typed values, over as many connections as it takes."""

from collections.abc import Mapping

from httpx_sse import ServerSentEvent
from pydantic import TypeAdapter

from serve_apps.client.calls import Attempts, ClientError, Retries
from serve_apps.gateway.schemas.jobs import EventView, JobView
from serve_apps.gateway.schemas.streams import ProgressEvent

Happening = EventView | ProgressEvent | JobView
"""An event of the job's history, how it stands, or, at the end, the job as it ended."""

_KINDS: Mapping[str, TypeAdapter[Happening]] = {
    "history": TypeAdapter(EventView),
    "progress": TypeAdapter(ProgressEvent),
    "end": TypeAdapter(JobView),
}


class HappeningReader:
    """Reads the events of one job's stream; knows where to go on after a lost connection."""

    def __init__(self, url: str, retries: Retries, after: int) -> None:
        self._url, self._retries = url, retries
        self._after = after
        self._breaks = Attempts(retries, url, repeatable=True)
        self.over = False

    @property
    def headers(self) -> Mapping[str, str]:
        """What to send so that the stream goes on after what was read."""
        return {"Last-Event-ID": str(self._after)}

    def read(self, event: ServerSentEvent) -> Happening | None:
        """Return what an event tells; None for one of a kind that this client does not know."""
        kind = _KINDS.get(event.event)
        if kind is None:
            return None
        happening = kind.validate_json(event.data)
        self._breaks = Attempts(self._retries, self._url, repeatable=True)
        self._after = happening.seq if isinstance(happening, EventView) else self._after
        self.over = isinstance(happening, JobView)
        return happening

    def wait_s(self, broken: ClientError | None) -> float:
        """Return how long to wait before the stream is opened again.

        Raises ServiceUnreachable where it broke too often without telling anything.
        """
        if self._breaks.settled_by(None):
            try:
                self._breaks.outcome(None)
            except ClientError as error:
                raise error from broken
        return self._breaks.wait_s()
