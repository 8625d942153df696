"""`python -m benchmarks.ingest`: rows a second into validated chunks, and the memory it takes.

Files of texts are made in a temporary folder. Muster's side is the whole stage, over a folder of
objects and SQLite, both synced: validation, duplicates, error file, chunks, ledger. The other side
is the least anybody could do: pyarrow reads the same JSON Lines whole, on all cores, and writes one
Parquet file with the same compression, without looking at a row. Sides take turns, each time in
this process; figures are medians. The peak of memory is that of a process of its own.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq
from rich.console import Console

from benchmarks.figures import Figure, at_least, at_most, informing, present
from benchmarks.http.memory import peak_mib
from cluster.clock import SystemClock
from cluster.domain.ids import JobId, ModelName, TenantId
from cluster.domain.jobs import Job, JobSpec, JobState, Source, SourceFormat
from cluster.domain.labels import Label, LabelSet
from cluster.runner import JobDesk
from cluster.settings import Limits, Settings
from cluster.stores.opened import open_stores
from ingest.stage import IngestStage

MB = 10**6
BATCH_ROWS = 10_000
REJECTED_EVERY = 1_000
"""One row in so many is refused, in turn an id that was there before and a text of white space."""

MALFORMED = b'{"id": "broken", "text": \n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What one run of the stage took, and what it found."""

    seconds: float
    items: int
    rejected: int


def batches(seed: int) -> Iterator[list[tuple[str, str]]]:
    """Yield ids and texts without end: 20 to 90 words by Zipf's law, some of them not ASCII."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, rng.integers(2, 10))) for _ in range(20_000)])
    words[[5, 17, 30]] = ["naïve", '"quoted"', "日本"]
    number = 0
    while True:
        lengths = rng.integers(20, 90, BATCH_ROWS)
        drawn = words[np.minimum(rng.zipf(1.3, lengths.sum()) - 1, len(words) - 1)].tolist()
        ends = np.cumsum(lengths).tolist()
        texts = [" ".join(drawn[end - size : end]) for end, size in zip(ends, lengths, strict=True)]
        rows = [(f"row-{number + row:09d}", text) for row, text in enumerate(texts)]
        for row in range(REJECTED_EVERY - 1, BATCH_ROWS, 2 * REJECTED_EVERY):
            rows[row] = (rows[0][0], texts[row])
            rows[row + REJECTED_EVERY] = (rows[row + REJECTED_EVERY][0], " \t")
        yield rows
        number += BATCH_ROWS


def write_jsonl(path: Path, size: int, dirty: bytes = b"") -> None:
    """Write rows to a file until it has a size; `dirty` follows every thousandth row."""
    with path.open("wb") as file:
        for rows in batches(1):
            lines = [
                json.dumps({"id": item_id, "text": text}, ensure_ascii=False).encode() + b"\n"
                for item_id, text in rows
            ]
            for row in range(0, len(lines) if dirty else 0, 1_000):
                lines[row] += dirty
            file.write(b"".join(lines))
            if file.tell() >= size:
                return


def write_others(csv_path: Path, parquet_path: Path, size: int) -> None:
    """Write rows of about `size` bytes as CSV and as Parquet."""
    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    with (
        csv_path.open("w", newline="") as file,
        pq.ParquetWriter(parquet_path, schema, compression="zstd") as writer,
    ):
        table = csv.writer(file)
        table.writerow(schema.names)
        for rows in batches(1):
            table.writerows(rows)
            writer.write_table(pa.table(list(zip(*rows, strict=True)), schema=schema))
            if file.tell() >= size:
                return


def ingest(path: Path, format: SourceFormat = "jsonl") -> Ingested:  # noqa: A002 (its name)
    """Run the stage over a file, into stores in a folder of its own beside it."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        settings = Settings(
            data_dir=Path(folder),
            allowed_roots=(path.parent.as_uri(),),
            limits=Limits(source_bytes_max=2**40),
        )
        stores, clock = open_stores(settings), SystemClock()
        job = stores.jobs.create(_job(path, format), None)
        start = time.perf_counter()
        IngestStage(stores, settings).run(JobDesk(job, stores.jobs, stores.events, clock))
        seconds = time.perf_counter() - start
        progress = stores.jobs.load(job.job_id).progress
    return Ingested(seconds=seconds, items=progress.items, rejected=progress.rejected)


def plain(path: Path) -> float:
    """Return the seconds in which pyarrow reads the file and writes it as Parquet, unsynced."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        start = time.perf_counter()
        pq.write_table(
            pj.read_json(path),
            Path(folder) / "plain.parquet",
            compression="zstd",
            use_dictionary=False,
            write_statistics=False,
        )
        return time.perf_counter() - start


def _job(path: Path, format: SourceFormat) -> Job:  # noqa: A002 (its name)
    return Job(
        job_id=JobId("measured"),
        tenant_id=TenantId("measured"),
        model_name=ModelName("measured"),
        state=JobState.INGESTING,
        created_at=0.0,
        updated_at=0.0,
        spec=JobSpec(
            name="measured",
            modality="text",
            label_set=LabelSet((Label("yes"), Label("no"))),
            source=Source(uri=path.as_uri(), format=format),
        ),
    )


def speeds(folder: Path, size: int, repetitions: int) -> list[Figure]:
    """Return the speed of both sides, and of Muster's over dirty JSON Lines, CSV and Parquet."""
    clean, dirty = folder / "clean.jsonl", folder / "dirty.jsonl"
    table, columns = folder / "rows.csv", folder / "rows.parquet"
    write_jsonl(clean, size)
    write_jsonl(dirty, size, MALFORMED)
    write_others(table, columns, size)
    sides: dict[str, Callable[[], float]] = {
        "muster": lambda: ingest(clean).seconds,
        "pyarrow": lambda: plain(clean),
        "a malformed line in 1,000": lambda: ingest(dirty).seconds,
        "CSV": lambda: ingest(table, "csv").seconds,
        "Parquet": lambda: ingest(columns, "parquet").seconds,
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for repetition in range(repetitions + 1):
        for name, run in sides.items():
            seconds = run()
            if repetition:  # the first compiles, and warms the caches of both
                taken[name].append(seconds)
    rate = {name: clean.stat().st_size / MB / median(found) for name, found in taken.items()}
    shares = [b / a for a, b in zip(taken["muster"], taken["pyarrow"], strict=True)]
    others = ("a malformed line in 1,000", "CSV", "Parquet")
    return [
        informing("JSONL to chunks", rate["muster"], "MB/s"),
        informing("pyarrow: read JSONL, write Parquet", rate["pyarrow"], "MB/s"),
        at_least("JSONL to chunks by pyarrow's speed", median(shares), "x", 0.7),
        *(informing(f"{name}, as JSONL of the same rows", rate[name], "MB/s") for name in others),
    ]


def memory(folder: Path, size: int) -> list[Figure]:
    """Return the peak of memory of a process that ingests a file of some size."""
    path = folder / "large.jsonl"
    write_jsonl(path, size)
    command = (sys.executable, "-m", "benchmarks.ingest", "--ingest", str(path))
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout.splitlines()[-1])
    name = f"peak memory over {path.stat().st_size / 10**9:.1f} GB"
    path.unlink()
    return [
        at_most(name, found["rss_bytes"] / MB, "MB", 600),
        informing("rows accepted of it", found["items"], "rows"),
        informing("rows refused of it", found["rejected"], "rows"),
        informing("speed over it", size / MB / found["seconds"], "MB/s"),
    ]


def _ingest_alone(path: Path) -> None:
    """Ingest a file and print what it took.

    The peak is this program's own: `ru_maxrss` would know what its parent had before it began.
    """
    found = ingest(path)
    rss_bytes = round(peak_mib(os.getpid()) * 2**20)
    figures = {"items": found.items, "rejected": found.rejected, "seconds": found.seconds}
    print(json.dumps({"rss_bytes": rss_bytes, **figures}))


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size-mb", type=int, default=200, help="of the files that are compared")
    parser.add_argument("--large-mb", type=int, default=2_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--ingest", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.ingest:
        _ingest_alone(asked.ingest)
        return
    with tempfile.TemporaryDirectory(prefix="muster-ingest-") as name:
        found = speeds(Path(name), asked.size_mb * MB, asked.repetitions)
        found += memory(Path(name), asked.large_mb * MB)
    present("ingest", found, Console(width=160))


if __name__ == "__main__":
    main()
