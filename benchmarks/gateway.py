"""`python -m benchmarks.gateway`: the job API under many clients, and exports of a million rows.

The whole service runs, with one gateway. Beside it, on the same Serve and behind the same proxy,
stands an application that does nothing at all: in one route without ever waiting, in another on a
thread. For a request that waits a replica asks Serve's proxy whether its client is still there,
which costs as much again as all the rest, and is most of what a poll takes beside the first.

`--clients` send one request after the other, in turns to each side; no rate and no quota holds them
back, which is no default, and of the jobs that are submitted one runs at a time, so that they do
not take the processors. Jobs with results are made by the service's own parts, without a crowd:
their last stage writes both files, once, and a download sends what is there. Memory is the
gateway's, at its peak. With RAY_SERVE_ENABLE_HA_PROXY=1 all of it stands behind HAProxy.
"""

import argparse
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import httpx
from fastapi import FastAPI
from ray import serve
from rich.console import Console

from benchmarks.figures import Figure, at_least, at_most, informing, present
from benchmarks.http.finished import FinishedJob, finish
from benchmarks.http.load import Plan, Waits, measure
from benchmarks.http.memory import peak_mib, pid_of, reset_peak
from cluster.clock import SystemClock
from cluster.domain.ids import TenantId
from cluster.model_settings import PrelabelSettings
from cluster.runtime import joined_ray
from cluster.settings import HttpSettings, QuotaSettings, RateSettings, RunnerSettings, Settings
from cluster.stores.opened import open_stores
from serve_apps.app import start_service
from serve_apps.cli.exclusive import usable_port
from serve_apps.gateway.keys import ensure_development_keys
from serve_apps.gateway.schemas.formats import Format

TENANT = TenantId("measured")
FEW, MANY = 10_000, 1_000_000
PAGE = 1_000
GATEWAY = "ray::ServeReplica:gateway"
UNBOUND = 1_000_000
FORMATS: tuple[Format, ...] = ("parquet", "jsonl", "arrow", "csv")
EMPTY = "/empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A running service: where it is, a client's key, and the process of its one gateway."""

    url: str
    key: str
    gateway: int

    @property
    def headers(self) -> dict[str, str]:
        """Who calls."""
        return {"Authorization": f"Bearer {self.key}"}


@contextmanager
def service(settings: Settings, key: str) -> Iterator[Door]:
    """Run the service, and beside it an application that does nothing."""
    nothing = FastAPI()

    @nothing.get("/")
    async def empty() -> dict[str, str]:
        return {}

    @nothing.get("/threaded")
    def threaded() -> dict[str, str]:
        return {}

    @serve.deployment(max_ongoing_requests=1_000, ray_actor_options={"num_cpus": 0.1})
    @serve.ingress(nothing)
    class Empty:
        pass

    with ExitStack() as running:
        running.enter_context(joined_ray(settings.ray))
        started = start_service(settings)
        running.callback(started.stop)
        serve.run(Empty.bind(), name="empty", route_prefix=EMPTY)  # type: ignore[attr-defined]
        yield Door(
            url=f"http://{settings.http.host}:{settings.http.port}",
            key=key,
            gateway=pid_of(os.getsid(0), GATEWAY),
        )


def waits(
    door: Door, job: FinishedJob, clients: int, rounds: int, log: Console
) -> dict[str, Waits]:
    """Return how long each kind of request takes: the medians of rounds in turns."""
    body = {
        "name": "submitted",
        "modality": "text",
        "labels": ["no", "yes"],
        "base_model": "fake",
        "items": [{"id": "1", "text": "one"}],
    }
    jobs = f"{door.url}/v1/jobs"
    common = {"key": door.key, "clients": clients}
    plans = {
        "an empty route": Plan(url=f"{door.url}{EMPTY}/", **common),
        "an empty route in a thread": Plan(url=f"{door.url}{EMPTY}/threaded", **common),
        "poll": Plan(url=f"{jobs}/{job.job_id}", **common),
        "list": Plan(url=f"{jobs}?limit=20", **common),
        "page": Plan(url=f"{jobs}/{job.job_id}/results?cursor={job.rows // 2}&limit=100", **common),
        "submit": Plan(url=jobs, method="POST", body=body, **common, requests=400, warm=20),
    }
    found: dict[str, list[Waits]] = {name: [] for name in plans}
    for _ in range(rounds):
        for name, plan in plans.items():
            found[name].append(measure(plan))
            log.print(f"{name}: {found[name][-1]}")
    return {name: _middle(each) for name, each in found.items()}


def _middle(found: list[Waits]) -> Waits:
    return Waits(
        p50_ms=median(each.p50_ms for each in found),
        p99_ms=median(each.p99_ms for each in found),
        per_s=median(each.per_s for each in found),
    )


def download_s(door: Door, job: FinishedJob, form: Format, folder: Path) -> tuple[float, float]:
    """Return the seconds of an export onto a client's disk, and the gateway's peak in MiB."""
    reset_peak(door.gateway)
    started = perf_counter()
    url = f"{door.url}/v1/jobs/{job.job_id}/export"
    with (
        (folder / f"export.{form}").open("wb") as file,
        httpx.stream(
            "GET", url, params={"format": form}, headers=door.headers, timeout=600.0
        ) as response,
    ):
        response.raise_for_status()
        for block in response.iter_raw():
            file.write(block)
    return perf_counter() - started, peak_mib(door.gateway)


def page_ms(door: Door, job: FinishedJob) -> float:
    """Return the median time of a page near the end of a job's results."""
    url = f"{door.url}/v1/jobs/{job.job_id}/results"
    taken = []
    with httpx.Client(headers=door.headers) as http:
        for _ in range(20):
            started = perf_counter()
            http.get(url, params={"cursor": job.rows - PAGE, "limit": PAGE}).raise_for_status()
            taken.append(1_000.0 * (perf_counter() - started))
    return median(taken)


def loaded(door: Door, job: FinishedJob, clients: int, rounds: int, log: Console) -> list[Figure]:
    """Return the figures of many clients at once."""
    found = waits(door, job, clients, rounds, log)
    figures = []
    for name, each in found.items():
        figures += [
            informing(f"{name}, p50", each.p50_ms, "ms"),
            informing(f"{name}, p99", each.p99_ms, "ms"),
            informing(f"{name}, answers", each.per_s, "1/s"),
        ]
    ratio = found["poll"].p99_ms / found["an empty route"].p99_ms
    threaded = found["poll"].p99_ms / found["an empty route in a thread"].p99_ms
    return [
        *figures,
        at_most("p99 of a poll by an empty route's", ratio, "x", 2.0),
        informing("p99 of a poll by that of one in a thread", threaded, "x"),
    ]


def exported(door: Door, few: FinishedJob, many: FinishedJob, folder: Path) -> list[Figure]:
    """Return the figures of exports and of pages, of a small job and of a large one."""
    figures: list[Figure] = []
    peaks: Mapping[int, list[float]] = {few.rows: [], many.rows: []}
    for form in FORMATS:
        for job in (few, many):
            seconds, peak = download_s(door, job, form, folder)
            peaks[job.rows].append(peak)
            if job is many:
                figures.append(informing(f"{form} download", job.rows / seconds, "rows/s"))
            if job is many and form == "parquet":
                share = many.plain_write_s / seconds
                figures.append(at_least("Parquet download by pyarrow's write", share, "x", 0.5))
    share = many.plain_write_s / many.export_s
    flat = max(peaks[many.rows]) / max(peaks[few.rows])
    return [
        *figures,
        informing("export stage, Parquet and JSON Lines", many.rows / many.export_s, "rows/s"),
        informing("pyarrow writes the same Parquet", many.rows / many.plain_write_s, "rows/s"),
        informing("export stage, both files, by pyarrow's Parquet", share, "x"),
        informing("gateway's peak at 10k", max(peaks[few.rows]), "MiB"),
        informing("gateway's peak at 1M", max(peaks[many.rows]), "MiB"),
        at_most("gateway's peak, 1M by 10k", flat, "x", 1.1),
        at_most("a page at the end, 1M by 10k", page_ms(door, many) / page_ms(door, few), "x", 1.5),
    ]


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=MANY)
    asked, console = parser.parse_args(), Console(width=160)
    with TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(
            data_dir=folder / "data",
            allowed_roots=(folder.as_uri(),),
            http=HttpSettings(port=usable_port("127.0.0.1", 0)),
            prelabel=PrelabelSettings(replicas_min=0),
            rates=RateSettings(client_per_s=UNBOUND, client_burst=UNBOUND),
            quotas=QuotaSettings(jobs_unfinished_max=UNBOUND),
            runner=RunnerSettings(jobs_max=1),
        )
        stores = open_stores(settings)
        keys = ensure_development_keys(
            stores.keys, TENANT, SystemClock().now(), secrets.token_bytes
        )
        (key,) = (made.text for made in keys if made.record.role == "client")
        few, many = (finish(stores, settings, TENANT, rows, folder) for rows in (FEW, asked.rows))
        console.print(f"{many.rows:,} results are ready, exported in {many.export_s:.1f} s")
        with service(settings, key) as door:
            found = [
                *exported(door, few, many, folder),
                *loaded(door, many, asked.clients, asked.rounds, console),
            ]
        shutil.rmtree(settings.data_dir)
    present("gateway", found, console)


if __name__ == "__main__":
    main()
