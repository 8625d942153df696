"""Group commit: calls that arrive while one is served are served together by the next."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Reply = TypeVar("Reply")


class _Slot(Generic[Asked, Reply]):
    """One caller's request; `reply` holds nothing until it is served."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.reply: tuple[Reply] | None = None


class Combiner(Generic[Asked, Reply]):
    """Gathers the requests of many threads into batches (flat combining, Hendler et al. 2010).

    Whoever gets `lock` serves all who wait for it, so one synced write pays for many callers. If
    serving a batch raises, that caller gets the error and the others are served again.
    """

    def __init__(self, serve: Callable[[Sequence[Asked]], Sequence[Reply]], lock: Lock) -> None:
        self._serve = serve
        self._serving = lock
        self._mutex = Lock()
        self._waiting: list[_Slot[Asked, Reply]] = []

    def call(self, asked: Asked) -> Reply:
        """Return the reply to one request."""
        own: _Slot[Asked, Reply] = _Slot(asked)
        with self._mutex:
            self._waiting.append(own)
        with self._serving:
            (reply,) = own.reply or self._serve_with(own)
        return reply

    def _serve_with(self, own: _Slot[Asked, Reply]) -> tuple[Reply]:
        """Serve one caller and all who wait."""
        with self._mutex:
            batch = self._waiting
            self._waiting = []
        if own not in batch:
            batch.append(own)
        replies = self._serve([slot.asked for slot in batch])
        for slot, reply in zip(batch, replies, strict=True):
            slot.reply = (reply,)
        return (replies[batch.index(own)],)
