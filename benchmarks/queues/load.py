"""A closed load: clients that claim, answer and claim again, and what they waited for.

A `Queue` is made in the parent and handed to the processes of its clients, so it holds nothing
but what can be pickled; a `Client` is one connection's worth of claims and answers.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from threading import Thread
from typing import Protocol

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.float64]


class Client(Protocol):
    """One of many who ask at once."""

    def claim(self) -> int:
        """Lease questions and return how many there were."""
        ...

    def answer(self) -> int:
        """Answer what the last claim gave and return how many answers are stored durably."""
        ...

    def close(self) -> None:
        """Give back what the client holds of the machine."""
        ...


class AsyncClient(Protocol):
    """One of many who ask at once, as a coroutine."""

    async def claim(self) -> int:
        """See `Client`."""
        ...

    async def answer(self) -> int:
        """See `Client`."""
        ...


MakeClient = Callable[[int], Client]
"""Return client number n; called in the thread, and the process, that will use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How hard to ask: `clients` at once, for `seconds` after `warmup_s` that do not count."""

    clients: int
    seconds: float
    warmup_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """What a load saw: answers stored, and how long every call took that fell into the time."""

    answers: int
    seconds: float
    claim_s: Seconds
    answer_s: Seconds

    @property
    def rate(self) -> float:
        """Questions claimed and answered a second."""
        return self.answers / self.seconds


def drive(make: MakeClient, load: Load, processes: int = 1) -> Measured:
    """Run the clients on threads, over so many processes; 1 means this one."""
    if processes == 1:
        return joined(_threads(make, range(load.clients), load, None), load)
    context = get_context("fork")
    ready = context.Barrier(processes)
    shares = [range(first, load.clients, processes) for first in range(processes)]
    pipes = [context.Pipe(duplex=False) for _ in shares]
    children = [
        context.Process(target=_report, args=(there, make, share, load, ready))
        for (_, there), share in zip(pipes, shares, strict=True)
    ]
    for child in children:
        child.start()
    found = [part for here, _ in pipes for part in here.recv()]
    for child in children:
        child.join()
    return joined(found, load)


def joined(parts: Sequence[Measured], load: Load) -> Measured:
    """Return what all clients saw together."""
    return Measured(
        answers=sum(part.answers for part in parts),
        seconds=load.seconds,
        claim_s=np.concatenate([part.claim_s for part in parts]),
        answer_s=np.concatenate([part.answer_s for part in parts]),
    )


def _report(pipe, make, share, load, ready) -> None:  # type: ignore[no-untyped-def]
    pipe.send(_threads(make, share, load, ready))


def _threads(
    make: MakeClient, numbers: Sequence[int], load: Load, ready: Barrier | None
) -> list[Measured]:
    found: list[Measured] = []
    clients = [make(number) for number in numbers]
    if ready is not None:
        ready.wait()
    start = time.perf_counter() + load.warmup_s
    threads = [
        Thread(target=lambda client: found.append(_work(client, start, load)), args=(client,))
        for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()
    return found


def _work(client: Client, start: float, load: Load) -> Measured:
    """Claim and answer until the time is up; what ends within it counts."""
    claims: list[float] = []
    answers: list[float] = []
    stored, now = 0, time.perf_counter()
    end = start + load.seconds
    while now < end:
        claimed = client.claim()
        claimed_at = time.perf_counter()
        if not claimed:
            break
        given = client.answer()
        answered_at = time.perf_counter()
        if start <= answered_at < end:
            stored += given
            claims.append(claimed_at - now)
            answers.append(answered_at - claimed_at)
        now = answered_at
    return Measured(
        answers=stored, seconds=load.seconds, claim_s=np.array(claims), answer_s=np.array(answers)
    )


def drive_together(clients: Sequence[AsyncClient], load: Load) -> Measured:
    """Run clients as coroutines of one event loop, in this process."""

    async def run() -> list[Measured]:
        start = time.perf_counter() + load.warmup_s
        return await asyncio.gather(*(_work_async(client, start, load) for client in clients))

    return joined(asyncio.run(run()), load)


async def _work_async(client: AsyncClient, start: float, load: Load) -> Measured:
    claims: list[float] = []
    answers: list[float] = []
    stored, now = 0, time.perf_counter()
    end = start + load.seconds
    while now < end:
        claimed = await client.claim()
        claimed_at = time.perf_counter()
        if not claimed:
            break
        given = await client.answer()
        answered_at = time.perf_counter()
        if start <= answered_at < end:
            stored += given
            claims.append(claimed_at - now)
            answers.append(answered_at - claimed_at)
        now = answered_at
    return Measured(
        answers=stored, seconds=load.seconds, claim_s=np.array(claims), answer_s=np.array(answers)
    )
