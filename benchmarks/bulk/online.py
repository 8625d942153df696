"""How long online requests take, alone and while a bulk job saturates the same replicas."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from time import perf_counter

import numpy as np

from benchmarks.bulk import whole
from benchmarks.bulk.texts import LABELS, Texts
from benchmarks.chaos.service import MusterUp
from serve_apps.client.muster import MusterClient
from serve_apps.gateway.schemas.job_request import ItemBody, JobRequest

REQUESTS, WARM = 200, 20
EVERY_S = 0.05
"""A caller asks for one label after the other, this long after the last answer."""


def p99_ms(texts: Texts, service: MusterUp, folder: Path) -> tuple[float, float]:
    """Return the 99th percentile of one caller's waiting, idle and under a bulk job."""
    with closing(MusterClient(service.url, service.keys.client)) as client:
        name = next(iter(client.models())).name
        _waits_ms(client, name, texts.texts[:WARM])
        idle = _waits_ms(client, name, texts.texts[:REQUESTS])
        job_id = _bulk(client, texts, folder)
        busy = _waits_ms(client, name, texts.texts[:REQUESTS])
        still = client.job(job_id)
        client.cancel(job_id)
    if still.state != "prelabelling":
        raise ValueError(f"the bulk job was {still.state} before the online requests had ended")
    return float(np.percentile(idle, 99)), float(np.percentile(busy, 99))


def _waits_ms(client: MusterClient, name: str, texts: Sequence[str]) -> list[float]:
    pause, waits = Event(), []
    for text in texts:
        started = perf_counter()
        client.predict(name, [ItemBody(id="x", text=text)])
        waits.append(1_000.0 * (perf_counter() - started))
        pause.wait(EVERY_S)
    return waits


def _bulk(client: MusterClient, texts: Texts, folder: Path) -> str:
    """Submit the texts and return the job once its chunks are on the replicas."""
    file = whole.write(texts, folder / "online.jsonl")
    body = {
        "name": "bulk beside online",
        "modality": "text",
        "labels": list(LABELS),
        "upload_id": client.upload(file).id,
        "format": "jsonl",
    }
    job = client.submit(JobRequest.model_validate(body))
    pause = Event()
    while job.state in ("queued", "ingesting") or not job.progress.prelabelled:
        pause.wait(0.2)
        job = client.job(job.id)
    return job.id
