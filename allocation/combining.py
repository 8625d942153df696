"""Group commit: calls that arrive while one is served are served together by the next."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Reply = TypeVar("Reply")


class _Slot(Generic[Asked, Reply]):
    """One caller's request; `turn` is locked until it is served or must serve."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.reply: list[Reply] = []
        self.turn = Lock()
        self.turn.acquire()


class Combiner(Generic[Asked, Reply]):
    """Gathers the requests of many threads into batches (flat combining, Hendler et al. 2010).

    The first caller serves; whoever comes meanwhile waits, and one of them then serves all who
    wait, so one look at the state or one synced write pays for many callers. Every caller is
    woken once, in the order in which they came. If serving a batch raises, the caller that served
    it gets the error and the others are served again.
    """

    def __init__(self, serve: Callable[[Sequence[Asked]], Sequence[Reply]]) -> None:
        self._serve = serve
        self._mutex = Lock()
        self._waiting: list[_Slot[Asked, Reply]] = []
        self._serving = False

    def call(self, asked: Asked) -> Reply:
        """Return the reply to one request."""
        own: _Slot[Asked, Reply] = _Slot(asked)
        with self._mutex:
            self._waiting.append(own)
            first = not self._serving
            self._serving = True
        if not first:
            own.turn.acquire()
        if not own.reply:
            self._serve_all()
        return own.reply[0]

    def _serve_all(self) -> None:
        """Serve all who wait; then let one of those that came meanwhile do the same."""
        with self._mutex:
            batch = self._waiting
            self._waiting = []
        left = batch[1:]
        try:
            replies = self._serve([slot.asked for slot in batch])
            for slot, reply in zip(batch, replies, strict=True):
                slot.reply.append(reply)
            left = []
        finally:
            self._hand_over(left)
        for slot in batch[1:]:
            slot.turn.release()

    def _hand_over(self, left: list[_Slot[Asked, Reply]]) -> None:
        with self._mutex:
            self._waiting = left + self._waiting
            self._serving = bool(self._waiting)
            heir = self._waiting[0] if self._waiting else None
        if heir is not None:
            heir.turn.release()
