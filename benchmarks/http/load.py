"""`python -m benchmarks.http.load`: many clients that each send one request after the other.

A process of its own, so that its work does not delay what it measures; reads a `Plan` as JSON from
standard input and prints a `Waits`.
"""

import asyncio
import subprocess
import sys
from time import perf_counter

import aiohttp
import numpy as np
from pydantic import BaseModel

REQUEST_S_MAX = 60.0


class Plan(BaseModel):
    """What to send: `clients` at once, until there were `requests`; `warm` of them do not count."""

    url: str
    key: str
    method: str = "GET"
    body: dict[str, object] | None = None
    clients: int = 200
    requests: int = 2_000
    warm: int = 400


class Waits(BaseModel):
    """How long answers took, in milliseconds, and how many came a second."""

    p50_ms: float
    p99_ms: float
    per_s: float


def measure(plan: Plan) -> Waits:
    """Run a plan in a process of its own; raises where any answer is no success."""
    command = (sys.executable, "-m", "benchmarks.http.load")
    given = plan.model_dump_json().encode()
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return Waits.model_validate_json(done.stdout)


async def _run(plan: Plan) -> Waits:
    connector = aiohttp.TCPConnector(limit=plan.clients)
    headers = {"Authorization": f"Bearer {plan.key}"}
    timeout = aiohttp.ClientTimeout(total=REQUEST_S_MAX)
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, timeout=timeout
    ) as session:
        await _sent(session, plan, plan.warm)
        started = perf_counter()
        waits = await _sent(session, plan, plan.requests)
        seconds = perf_counter() - started
    return Waits(
        p50_ms=float(np.percentile(waits, 50)),
        p99_ms=float(np.percentile(waits, 99)),
        per_s=len(waits) / seconds,
    )


async def _sent(session: aiohttp.ClientSession, plan: Plan, requests: int) -> list[float]:
    turns = iter(range(requests))
    waits: list[float] = []

    async def client() -> None:
        for _ in turns:
            started = perf_counter()
            async with session.request(plan.method, plan.url, json=plan.body) as response:
                await response.read()
                response.raise_for_status()
            waits.append(1_000.0 * (perf_counter() - started))

    await asyncio.gather(*(client() for _ in range(plan.clients)))
    return waits


if __name__ == "__main__":
    plan = Plan.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.write(asyncio.run(_run(plan)).model_dump_json())
