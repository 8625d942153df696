"""Texts through the whole of Muster: file upload, submit over HTTP, ingest, replicas, objects."""

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from threading import Event
from time import time

from benchmarks.bulk.texts import LABELS, Texts
from benchmarks.chaos.service import MusterUp
from serve_apps.client.muster import MusterClient
from serve_apps.gateway.schemas.job_request import JobRequest

LOOK_EVERY_S = 1.0
"""Rarely, as every look costs the service some milliseconds; its own events tell the times."""

WARM = 1_024
"""Texts of a small job before, enough chunks for every replica to get one."""

PREDICTED = "prelabel.done"
"""The event that tells that the predictions of every item are in the object store."""


class JobFailed(Exception):
    """The job ended before its items were predicted."""


def seconds(texts: Texts, folder: Path, settings: Mapping[str, str]) -> dict[str, float]:
    """Return how long it took from before the upload until all predictions were stored.

    With it the parts: until the job was accepted, until all items were ingested. The replicas
    have their weights before, as the other sides do.
    """
    with MusterUp(folder, settings) as service:
        service.wait_ready()
        warm(service, texts, folder)
        with closing(MusterClient(service.url, service.keys.client)) as client:
            return _run(client, texts, folder)


def warm(service: MusterUp, texts: Texts, folder: Path) -> None:
    """Let the replicas load their weights, over a small job."""
    with closing(MusterClient(service.url, service.keys.client)) as client:
        _run(client, Texts(texts=texts.texts[:WARM], origin=texts.origin), folder)


def write(texts: Texts, file: Path) -> Path:
    """Write texts as a JSON Lines file and return it."""
    with file.open("w") as lines:
        lines.writelines(f"{json.dumps(row)}\n" for row in texts.rows)
    return file


def _run(client: MusterClient, texts: Texts, folder: Path) -> dict[str, float]:
    file = write(texts, folder / "items.jsonl")
    started = time()
    request = JobRequest.model_validate(
        {
            "name": "bulk",
            "modality": "text",
            "labels": list(LABELS),
            "upload_id": client.upload(file).id,
            "format": "jsonl",
        }
    )
    job = client.submit(request)
    accepted = time()
    at = _times(client, job.id)
    _end(client, job.id)
    return {
        "accepted": accepted - started,
        "ingested": at["ingest.done"] - started,
        "predicted": at[PREDICTED] - started,
    }


def _end(client: MusterClient, job_id: str) -> None:
    """End a job, so that the next one finds a service at rest."""
    pause = Event()
    client.cancel(job_id)
    while client.job(job_id).state != "cancelled":
        pause.wait(0.1)


def _times(client: MusterClient, job_id: str) -> dict[str, float]:
    """Return when each kind of event happened, once the predictions are stored."""
    pause = Event()
    while True:
        events = {event.kind: event.at.timestamp() for event in client.events(job_id)}
        if PREDICTED in events:
            return events
        state = client.job(job_id).state
        if state in ("failed", "cancelled"):
            raise JobFailed(f"the job has {state}")
        pause.wait(LOOK_EVERY_S)
