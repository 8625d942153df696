"""Group commit: calls that arrive while one is served are served together by the next."""

import asyncio
from asyncio import Future, Task
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Reply = TypeVar("Reply")

Serve = Callable[[Sequence[Asked]], Awaitable[Sequence[Reply]]]


class Combiner(Generic[Asked, Reply]):
    """Gathers the calls of one event loop into batches (flat combining, Hendler et al. 2010).

    One batch is served at a time and takes all who wait, in the order in which they came, so one
    look at the state or one synced write pays for many callers. If serving a batch raises, its
    first caller gets the error and the others are served again.
    """

    def __init__(self, serve: Serve[Asked, Reply]) -> None:
        self._serve = serve
        self._waiting: list[tuple[Asked, Future[Reply]]] = []
        self._serving: Task[None] | None = None

    async def call(self, asked: Asked) -> Reply:
        """Return the reply to one request."""
        reply: Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, reply))
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve_all())
        return await reply

    async def _serve_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            asked = [found for found, _ in batch]
            work: Future[Sequence[Reply]] = asyncio.ensure_future(self._serve(asked))
            await asyncio.wait([work])
            error = work.exception()
            if error is not None:
                self._waiting = batch[1:] + self._waiting
                _, first = batch[0]
                if not first.done():
                    first.set_exception(error)
                continue
            for (_, reply), found in zip(batch, work.result(), strict=True):
                if not reply.done():  # its caller may have gone
                    reply.set_result(found)
        self._serving = None
