"""An ingest that is killed goes on behind its last recorded chunk, and each row is there once."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from cluster.domain.ids import ModelName, TenantId
from cluster.domain.jobs import Job, JobSpec, JobState, Source
from cluster.domain.labels import Label, LabelSet
from cluster.ports import Stores
from cluster.stores.opened import open_stores
from tests.conformance import ingest_victim
from tests.conformance.ingest_victim import JOB, settings_in

ROWS = 1_000
NEVER = 10**9


def source() -> bytes:
    """Return rows of which every seventh is malformed and every fiftieth has an id of another."""
    lines: list[bytes] = []
    for row in range(ROWS):
        item_id = f"i{row - 13 if row % 50 == 49 else row}"
        line = json.dumps({"id": item_id, "text": f"text {row} {'x' * 90}"}).encode()
        lines.append(line[:-5] if row % 7 == 3 else line)
    return b"\n".join(lines)


def submitted(folder: Path) -> Stores:
    """Return stores that hold the job and nothing of what its ingest makes."""
    folder.mkdir()
    (folder / "source.jsonl").write_bytes(source())
    stores = open_stores(settings_in(folder))
    spec = JobSpec(
        name="a job",
        modality="text",
        label_set=LabelSet((Label("yes"), Label("no"))),
        source=Source(uri=(folder / "source.jsonl").as_uri(), format="jsonl"),
    )
    job = Job(
        job_id=JOB,
        tenant_id=TenantId("acme"),
        model_name=ModelName("line-1"),
        state=JobState.INGESTING,
        created_at=0.0,
        updated_at=0.0,
        spec=spec,
    )
    stores.jobs.create(job, None)
    return stores


def dies(folder: Path, dies_at: int) -> bool:
    """Ingest until the process ends or dies, and tell whether it died."""
    command = [sys.executable, "-m", ingest_victim.__name__, str(folder), str(dies_at)]
    code = subprocess.run(command, check=False).returncode
    assert code in (0, -signal.SIGKILL)
    return code != 0


def made(stores: Stores) -> Mapping[str, object]:
    """Return all that an ingest leaves behind, but for the times."""
    objects = stores.objects
    return {
        "objects": {path: objects.read(path) for path in objects.list(f"jobs/{JOB}")},
        "chunks": stores.chunks.chunks(JOB),
        "partitions": stores.partitions.of_job(JOB),
        "progress": stores.jobs.load(JOB).progress,
    }


def test_an_ingest_that_is_killed_again_and_again_ends_like_one_that_is_not(
    tmp_path: Path,
) -> None:
    # Given what an undisturbed ingest makes
    undisturbed = submitted(tmp_path / "undisturbed")
    assert not dies(tmp_path / "undisturbed", NEVER)
    expected = made(undisturbed)
    # When another is killed at one moment after the other, of objects and of the ledger
    disturbed = submitted(tmp_path / "disturbed")
    recorded = [0]
    for dies_at in (3, 14, 22, 31):
        assert dies(tmp_path / "disturbed", dies_at)
        recorded.append(len(disturbed.chunks.chunks(JOB)))
    assert not dies(tmp_path / "disturbed", NEVER)
    # Then what was recorded stayed, and in the end everything is the same to the byte
    assert recorded == sorted(recorded)
    assert 0 < recorded[-1] < len(undisturbed.chunks.chunks(JOB))
    assert made(disturbed) == expected
    # And every row is an item or an error, once
    items = [
        line
        for chunk in disturbed.chunks.chunks(JOB)
        for line in pq.read_table(disturbed.objects.open_input(chunk.items_path))[
            "line"
        ].to_pylist()
    ]
    errors = [
        json.loads(line)["line"]
        for line in disturbed.objects.read(f"jobs/{JOB}/errors.jsonl").splitlines()
    ]
    assert sorted(items + errors) == list(range(1, ROWS + 1))
