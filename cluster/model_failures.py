"""Items that a model could not handle: told of chunk by chunk, and joined to the error file.

The part of a chunk is stored before the ledger says which version has pre-labelled it, and counts
only by what the ledger says; so each item is told of once, whoever died on the way.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.items import Chunk, RejectedRow
from cluster.errors import ObjectMissing
from cluster.item_reader import read_items
from cluster.ports import ObjectStore, Stores

MODEL_FAILED = "model-failed"
"""The code of an item the model cannot label; its prediction is uniform."""


def write_failures(
    objects: ObjectStore, chunk: Chunk, version: int, failed: Sequence[RejectedRow]
) -> None:
    """Store what a version failed on in a chunk; `line` of each counts accepted items from 1.

    A line of JSON for each, with the keys of a refused row and `position`; its `line` is the
    source's.
    """
    if not failed:
        return
    lines = read_items(objects, chunk, ("line",))["line"]
    written = bytearray()
    for row in failed:
        position = row.line - 1
        entry = {
            "line": lines[position - chunk.first_position].as_py(),
            "field": row.field,
            "code": row.code,
            "detail": row.detail,
            "id": row.item_id,
            "position": position,
        }
        written += json.dumps(entry).encode() + b"\n"
    objects.write(paths.model_failures(chunk.job_id, version, chunk.number), bytes(written))


def forget_failures(objects: ObjectStore, chunks: Sequence[Chunk], version: int) -> None:
    """Remove what an earlier run has stored of chunks that are still to be pre-labelled."""
    if not chunks:
        return
    stored = set(objects.list(paths.all_model_failures(chunks[0].job_id)))
    for chunk in chunks:
        path = paths.model_failures(chunk.job_id, version, chunk.number)
        if path in stored:
            objects.delete(path)


def failure_parts(stores: Stores, job_id: JobId) -> list[str]:
    """Return the parts that count, by chunk: those of the versions that the ledger names."""
    stored = set(stores.objects.list(paths.all_model_failures(job_id)))
    if not stored:
        return []
    found = [
        paths.model_failures(job_id, each.model_version, each.number)
        for each in stores.chunks.predictions(job_id)
    ]
    return [path for path in found if path in stored]


def failed_positions(stores: Stores, job_id: JobId) -> npt.NDArray[np.int64]:
    """Return the positions of all items that the versions in use have failed on, rising."""
    positions = list[int]()
    for path in failure_parts(stores, job_id):
        lines = stores.objects.read(path).splitlines()
        positions += [json.loads(line)["position"] for line in lines]
    return np.array(positions, dtype=np.int64)


def join_errors(stores: Stores, job_id: JobId) -> int:
    """Store the error file anew, refused rows first, and return how many items models failed on."""
    parts = failure_parts(stores, job_id)
    if not parts:
        stores.objects.delete(paths.joined_errors(job_id))
        return 0
    failed = 0
    with stores.objects.open_output(paths.joined_errors(job_id)) as file:
        with suppress(ObjectMissing), stores.objects.open_input(paths.errors(job_id)) as refused:
            shutil.copyfileobj(refused, file)
        for path in parts:
            content = stores.objects.read(path)
            failed += content.count(b"\n")
            file.write(content)
    return failed


def open_errors(objects: ObjectStore, job_id: JobId) -> BinaryIO:
    """Open the error file as far as it goes by now; raises ObjectMissing before there is one."""
    try:
        return objects.open_input(paths.joined_errors(job_id))
    except ObjectMissing:
        return objects.open_input(paths.errors(job_id))
