"""The demo from start to end: service up, jobs in, crowd at work, labels out, report written."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from examples.demo.crew import Crew
from examples.demo.dataset import DemoDataset
from examples.demo.judge import judge_job, judge_workers
from examples.demo.measure import seconds_after
from examples.demo.report import write_report
from examples.demo.run_data import DemoRun, JobRun
from examples.demo.scenarios import Comparison, Order, Scenario
from examples.demo.service import Service
from examples.demo.watch import JobWatch, watch
from serve_apps.client import MusterClient, newest
from serve_apps.gateway.schemas.job_request import ItemBody, JobRequest, LabelBody


def run_demo(scenario: Scenario, out: Path, seed: int, console: Console) -> DemoRun:
    """Run a scenario, leave report, run data and labels in `out`, and return what happened.

    Raises ServiceFailed where the service does not come up, and ClientError where it refuses.
    """
    start = datetime.now(UTC)
    out.mkdir(parents=True, exist_ok=True)
    service = Service(out / "service", scenario.settings)
    with ExitStack() as stack:
        stack.enter_context(service)
        with console.status("starting the service: Ray, Serve, SQLite, a folder of objects"):
            keys = service.wait_ready()
        startup_s = seconds_after(start, datetime.now(UTC))
        console.print(f"the service answers at {service.url} after {startup_s:.0f} s")
        admin = stack.enter_context(MusterClient(service.url, keys.admin))
        worker_key = admin.issue_key("crowd-agency", "worker").key
        agency = stack.enter_context(MusterClient(service.url, worker_key))
        crew = scenario.hire(agency, service.url, worker_key, out / "service")
        watches = []
        for order in scenario.orders:
            tenant_key = admin.issue_key(order.tenant, "client").key
            client = stack.enter_context(MusterClient(service.url, tenant_key))
            watches.append(_submitted(client, order, out / "service", seed, start))
        with crew:
            watch(watches, console)
        jobs = tuple(
            _delivered(watched, comparison, crew, out)
            for watched, comparison in zip(watches, scenario.comparisons(), strict=True)
        )
        wall_s = seconds_after(start, datetime.now(UTC))
    run = DemoRun(
        title="Muster demo",
        input_note=scenario.input_note,
        crowd_note=scenario.crowd_note,
        started_at=start,
        version=version("muster"),
        seed=seed,
        cpus=len(os.sched_getaffinity(0)),
        startup_s=startup_s,
        wall_s=wall_s,
        jobs=jobs,
        workers=judge_workers(crew),
    )
    run.save(out / "run.json")
    write_report(run, out / "report.html")
    return run


def _submitted(
    client: MusterClient, order: Order, folder: Path, seed: int, start: datetime
) -> JobWatch:
    """Submit a job: images as an uploaded Parquet file, texts inline."""
    dataset = order.dataset
    request = JobRequest(
        name=dataset.title,
        modality=dataset.modality,
        labels=[
            LabelBody(name=label.name, description=label.description)
            for label in dataset.label_set.labels
        ],
        goal=order.goal,
        crowd=order.crowd,
        budget=order.budget,
        base_model=dataset.base_model,
        seed=seed,
    )
    if dataset.modality == "image":
        upload = client.upload(_parquet(dataset, folder))
        source: Mapping[str, object] = {
            "upload_id": upload.id,
            "format": "parquet",
            "content_field": "image",
        }
    else:
        items = [ItemBody(id=item.item_id, text=str(item.content)) for item in dataset.items]
        source = {"items": items}
    job = client.submit(request.model_copy(update=source))
    return JobWatch(client=client, tenant=order.tenant, dataset=dataset, job=job, demo_start=start)


def _parquet(dataset: DemoDataset, folder: Path) -> Path:
    path = folder / f"{dataset.name}.parquet"
    columns = {
        "id": [item.item_id for item in dataset.items],
        "image": [item.content for item in dataset.items],
    }
    pq.write_table(pa.table(columns), path)
    return path


def _delivered(watched: JobWatch, comparison: Comparison, crew: Crew, out: Path) -> JobRun:
    """Download a finished job's labels in both formats and judge them."""
    client, job_id = watched.client, watched.job.id
    client.export(job_id, out / f"{watched.dataset.name}.jsonl", "jsonl")
    client.export(job_id, out / f"{watched.dataset.name}.parquet", "parquet")
    return judge_job(watched, newest(client.results(job_id)), comparison, crew.given())
