"""What a batch gives: answers and refusals, a JSON object a line, made while they are sent."""

import json
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from cluster import paths
from cluster.domain.ids import UnixSeconds
from cluster.domain.jobs import Job, JobState
from cluster.errors import ObjectMissing
from cluster.model_failures import MODEL_FAILED
from cluster.ports import Stores
from cluster.result_writer import latest_tables
from serve_apps.gateway.formats import parquet_batches
from serve_apps.gateway.schemas.models import local_name

_BATCH_ROWS = 8_192

_NOT_KNOWN = ("position", "item_id", "model_failed")
"""Columns of a delivered label that tell nothing more in an answer."""


def answer_blocks(stores: Stores, job: Job) -> Iterator[bytes]:
    """Yield the answers of a job that has ended: a chat completion for every delivered label.

    But for items that have one only because each has: nobody could label them.
    """
    for rows in _delivered(stores, job):
        yield b"".join(_line(_answer(job, row)) for row in rows if not row.get("model_failed"))


def completion(
    completion_id: str,
    *,
    created_at: UnixSeconds,
    model: str,
    label_field: str | None,
    known: Mapping[str, object],
) -> dict[str, object]:
    """Return a chat completion that answers with the known label, as JSON where it has a field."""
    label = known["label"]
    content = label if label_field is None else json.dumps({label_field: label})
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    return {
        "id": f"chatcmpl-{completion_id}",
        "object": "chat.completion",
        "created": int(created_at),
        "model": model,
        "choices": [choice],
        "muster": known,
    }


def refusal_blocks(stores: Stores, job: Job) -> Iterator[bytes]:
    """Yield an error for every refused line, and for every item that nobody could label."""
    for row in refused_rows(stores, job):
        error = {"code": row["code"], "message": told(row)}
        yield _line({**_head(job, f"line-{row['line']}", row["id"], None), "error": error})
    if job.progress.model_failed:
        for rows in _delivered(stores, job):
            yield b"".join(_line(_failure(job, row)) for row in rows if row.get("model_failed"))


def refused_rows(stores: Stores, job: Job) -> Iterator[Mapping[str, object]]:
    """Yield the rows that a job's ingest has refused; none where there is no file yet."""
    try:
        stored = stores.objects.open_input(paths.errors(job.job_id))
    except ObjectMissing:
        return
    yield from _parsed(stored)


def told(row: Mapping[str, object]) -> str:
    """Return what was wrong with a line, and which one it was."""
    line = row["line"]
    return str(row["detail"]) if line is None else f"line {line}: {row['detail']}"


def _parsed(stored: BinaryIO) -> Iterator[Mapping[str, object]]:
    with stored:
        for line in stored:
            yield json.loads(line)


def _delivered(stores: Stores, job: Job) -> Iterator[list[dict[str, object]]]:
    if job.state is not JobState.COMPLETED:
        for table in latest_tables(stores, job.job_id):
            yield from (part.to_pylist() for part in table.to_batches(_BATCH_ROWS))
        return
    with stores.objects.open_input(paths.export(job.job_id, "parquet")) as stored:
        _, batches = parquet_batches(stored)
        yield from (batch.to_pylist() for batch in batches)


def _answer(job: Job, row: Mapping[str, object]) -> dict[str, object]:
    request_id = str(row["position"])
    body = completion(
        f"{job.job_id}-{request_id}",
        created_at=job.updated_at,
        model=local_name(job.model_name),
        label_field=job.spec.source.label_field,
        known={name: row[name] for name in row if name not in _NOT_KNOWN},
    )
    response = {"status_code": 200, "request_id": f"{job.job_id}-{request_id}", "body": body}
    return {**_head(job, request_id, row["item_id"], response), "error": None}


def _failure(job: Job, row: Mapping[str, object]) -> dict[str, object]:
    error = {"code": MODEL_FAILED, "message": "the model fails on this text; nobody else was asked"}
    return {**_head(job, str(row["position"]), row["item_id"], None), "error": error}


def _head(job: Job, request_id: str, custom_id: object, response: object) -> dict[str, object]:
    return {
        "id": f"batch_req_{job.job_id}-{request_id}",
        "custom_id": custom_id,
        "response": response,
    }


def _line(found: Mapping[str, object]) -> bytes:
    return json.dumps(found, ensure_ascii=False).encode() + b"\n"
