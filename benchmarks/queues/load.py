"""A closed load: clients that claim, answer and claim again, and what they waited for."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import Thread
from typing import Protocol

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.float64]


class Client(Protocol):
    """One of many who ask at once, on a thread of its own."""

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
    """One of many who ask at once, as a coroutine of one event loop."""

    async def claim(self) -> int:
        """See `Client`."""
        ...

    async def answer(self) -> int:
        """See `Client`."""
        ...


MakeClient = Callable[[int], Client]
"""Return client number n."""

MakeAsyncClients = Callable[[Sequence[int]], AbstractAsyncContextManager[Sequence[AsyncClient]]]
"""Open the clients of these numbers, in the event loop that will use them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How hard to ask: `clients` at once, for `seconds` after `warmup_s` that do not count."""

    clients: int
    seconds: float
    warmup_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """Answers stored within the time, and how long every call that ended within it took.

    `cores` is what this process used of the machine; None where other processes did the work.
    """

    answers: int
    seconds: float
    claim_s: Seconds
    answer_s: Seconds
    cores: float | None = None

    @property
    def rate(self) -> float:
        """Questions claimed and answered a second."""
        return self.answers / self.seconds


class _Tally:
    """What one client saw."""

    def __init__(self, start: float, load: Load) -> None:
        self.start, self.end = start, start + load.seconds
        self.stored = 0
        self.claims: list[float] = []
        self.answers: list[float] = []

    def note(self, asked_at: float, claimed_at: float, answered_at: float, stored: int) -> None:
        if self.start <= answered_at < self.end:
            self.stored += stored
            self.claims.append(claimed_at - asked_at)
            self.answers.append(answered_at - claimed_at)


def drive_threads(make: MakeClient, load: Load, processes: int) -> Measured:
    """Run the clients on threads, dealt out over processes."""

    def work(numbers: Sequence[int], ready: Barrier) -> list[_Tally]:
        clients = [make(number) for number in numbers]
        ready.wait()
        start = time.perf_counter() + load.warmup_s
        tallies = [_Tally(start, load) for _ in clients]
        threads = [Thread(target=_work, args=pair) for pair in zip(clients, tallies, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for client in clients:
            client.close()
        return tallies

    return _over_processes(work, load, processes)


def drive_async_processes(make: MakeAsyncClients, load: Load, processes: int) -> Measured:
    """Run the clients as coroutines, dealt out over processes."""

    def work(numbers: Sequence[int], ready: Barrier) -> list[_Tally]:
        async def run() -> list[_Tally]:
            async with make(numbers) as clients:
                ready.wait()
                return await _gather(clients, load)

        return asyncio.run(run())

    return _over_processes(work, load, processes)


def drive_async(clients: Sequence[AsyncClient], load: Load) -> Measured:
    """Run clients as coroutines of one event loop, in this process."""
    started, used_s = time.perf_counter(), time.process_time()
    tallies = asyncio.run(_gather(clients, load))
    took_s, used_s = time.perf_counter() - started, time.process_time() - used_s
    return replace(_joined(tallies, load), cores=used_s / took_s)


async def _gather(clients: Sequence[AsyncClient], load: Load) -> list[_Tally]:
    start = time.perf_counter() + load.warmup_s
    tallies = [_Tally(start, load) for _ in clients]
    await asyncio.gather(
        *(_work_async(client, tally) for client, tally in zip(clients, tallies, strict=True))
    )
    return tallies


def _work(client: Client, tally: _Tally) -> None:
    now = time.perf_counter()
    while now < tally.end and client.claim():
        claimed_at = time.perf_counter()
        stored = client.answer()
        answered_at = time.perf_counter()
        tally.note(now, claimed_at, answered_at, stored)
        now = answered_at


async def _work_async(client: AsyncClient, tally: _Tally) -> None:
    now = time.perf_counter()
    while now < tally.end and await client.claim():
        claimed_at = time.perf_counter()
        stored = await client.answer()
        answered_at = time.perf_counter()
        tally.note(now, claimed_at, answered_at, stored)
        now = answered_at


def _over_processes(
    work: Callable[[Sequence[int], Barrier], list[_Tally]], load: Load, processes: int
) -> Measured:
    context = get_context("fork")
    ready = context.Barrier(processes)
    shares = [range(first, load.clients, processes) for first in range(processes)]
    pipes = [context.Pipe(duplex=False) for _ in shares]

    def report(there: Connection, numbers: Sequence[int]) -> None:
        there.send(work(numbers, ready))

    children = [
        context.Process(target=report, args=(there, share))
        for (_, there), share in zip(pipes, shares, strict=True)
    ]
    for child in children:
        child.start()
    found = [tally for here, _ in pipes for tally in here.recv()]
    for child in children:
        child.join()
    return _joined(found, load)


def _joined(tallies: Sequence[_Tally], load: Load) -> Measured:
    return Measured(
        answers=sum(tally.stored for tally in tallies),
        seconds=load.seconds,
        claim_s=np.concatenate([np.array(tally.claims) for tally in tallies]),
        answer_s=np.concatenate([np.array(tally.answers) for tally in tallies]),
    )
