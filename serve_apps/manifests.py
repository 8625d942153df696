"""The manifest of a finished job, as SageMaker Ground Truth writes it: the lines of its source that
became items, each with its label and what is known of it. It is valid as the source of another job.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import UnixSeconds
from cluster.domain.jobs import Job
from cluster.errors import UnreadableSource
from cluster.ports import Stores
from ingest.bookmark import SourceMark
from ingest.chunks import read_bookmark
from ingest.lines import read_lines

LABEL_FIELD = "label"
"""The label attribute of a job that names none."""

_COLUMNS = ("position", "label", "probability", "decided_by")


def write_manifest(
    output: BinaryIO, source: BinaryIO, stores: Stores, job: Job, now: UnixSeconds, bytes_max: int
) -> int:
    """Write the manifest of a job whose labels are exported and return how many lines it has.

    `source` is read again from its beginning, a line may have `bytes_max` bytes. Memory grows by
    seven bytes an item and no more. Raises UnreadableSource where the source is another one now.
    """
    chunks = stores.chunks.chunks(job.job_id)
    uri = job.spec.source.uri
    if read_bookmark(stores.objects, chunks[-1], uri).source != SourceMark.of(source):
        raise UnreadableSource(uri, "it has changed since it was read")
    labels = _Labels.of(stores, job, chunks[-1].first_position + chunks[-1].rows)
    members = _Members(job, now)
    accepted = enumerate(_accepted_lines(stores, job))
    position, wanted = next(accepted, (0, 0))
    written = 0
    for line in read_lines(source, bytes_max):
        if line.number == wanted and line.content is not None:
            output.write(members.added(line.content, labels, position) + b"\n")
            position, wanted = next(accepted, (0, 0))
            written += 1
    return written


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Labels:
    """The exported label of every item, (items,) each: its code, probability, and whether people
    stand behind it."""

    codes: npt.NDArray[np.uint16]
    probability: npt.NDArray[np.float32]
    by_people: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, stores: Stores, job: Job, items: int) -> "_Labels":
        """Read the labels of a job out of its export."""
        found = cls(
            codes=np.zeros(items, dtype=np.uint16),
            probability=np.zeros(items, dtype=np.float32),
            by_people=np.zeros(items, dtype=np.bool_),
        )
        names = pa.array(job.spec.label_set.names, pa.string())
        with stores.objects.open_input(paths.export(job.job_id, "parquet")) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(columns=list(_COLUMNS)):
                at = batch["position"].to_numpy()
                found.codes[at] = pc.index_in(batch["label"], names).to_numpy()
                found.probability[at] = batch["probability"].to_numpy()
                by_model = pc.equal(batch["decided_by"], "model")
                found.by_people[at] = ~by_model.to_numpy(zero_copy_only=False)
        return found


class _Members:
    """What is added to the lines of one job."""

    def __init__(self, job: Job, now: UnixSeconds) -> None:
        self._field = job.spec.source.label_field or LABEL_FIELD
        self._names = job.spec.label_set.names
        made_at = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
        self._shared = {
            "type": f"groundtruth/{job.spec.modality}-classification",
            "job-name": f"labeling-job/{job.job_id}",
            "creation-date": made_at.isoformat(timespec="microseconds"),
        }

    def added(self, content: bytes, labels: _Labels, position: int) -> bytes:
        """Return a line with its label; an older one under the same name is replaced."""
        code = int(labels.codes[position])
        members = {
            self._field: code,
            f"{self._field}-metadata": {
                "class-name": self._names[code],
                "confidence": float(labels.probability[position]),
                "human-annotated": "yes" if labels.by_people[position] else "no",
                **self._shared,
            },
        }
        found: Mapping[str, object] = _DECODER.decode(content.decode())
        kept = {name: value for name, value in found.items() if name not in members}
        return _ENCODER.encode({**kept, **members}).encode(errors=_ESCAPED)


def _number(text: str) -> float | str:
    """Return a number; one beyond all floats, which JSON cannot name otherwise, as its text."""
    value = float(text)
    return value if math.isfinite(value) else text


def _accepted_lines(stores: Stores, job: Job) -> Iterator[int]:
    """Yield the line of every item, by position."""
    for chunk in stores.chunks.chunks(job.job_id):
        with stores.objects.open_input(chunk.items_path) as stream:
            yield from pq.read_table(stream, columns=["line"])["line"].to_pylist()


_DECODER = json.JSONDecoder(parse_float=_number)
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_ESCAPED = "backslashreplace"
"""Half a surrogate pair, which JSON may spell and UTF-8 cannot, is spelt again as it was."""
