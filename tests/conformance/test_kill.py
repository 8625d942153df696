"""What is left when a process is killed in the middle of its writes."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from cluster.domain.ids import WorkerId
from cluster.settings import Settings
from cluster.stores.objects import FolderObjects
from cluster.stores.opened import open_stores
from tests.conformance import samples, victim


def test_a_killed_writer_loses_nothing_acknowledged_and_leaves_nothing_half(
    tmp_path: Path,
) -> None:
    # Given a process that appends batches of answers while an object of its is half written
    stores = open_stores(Settings(data_dir=tmp_path))
    stores.partitions.add([replace(samples.partition(), items=10**9)])

    # When it is killed after some acknowledgements, wherever it is by then
    with subprocess.Popen(
        [sys.executable, "-m", victim.__name__, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(25)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]

    # Then every acknowledged batch is stored, at most one more, and none in part
    stored = stores.answers.read(samples.JOB, 0, 10**9).positions.tolist()
    assert stored == list(range(len(stored)))
    assert len(stored) in {victim.BATCH * (acknowledged[-1] + more) for more in (0, 1)}
    assert stores.answers.totals(WorkerId("ann")).answers == len(stored)

    # And the whole object is there, the half one nowhere to be seen
    assert list(stores.objects.list("")) == ["whole"]
    assert len(list((tmp_path / "objects").rglob("*"))) > 2


def test_what_killed_writers_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    # Given the remains of a writer that was killed, and a write that is under way
    objects = FolderObjects(tmp_path)
    objects.write("whole", b"x")
    remains = tmp_path / ".unfinished" / "remains"
    remains.write_bytes(b"half")
    left_at = remains.stat().st_mtime

    # When the folder is swept for what was left before that moment, and after it
    objects.sweep(before=left_at - 1)
    kept = remains.exists()
    objects.sweep(before=left_at + 1)

    # Then only the latter removes it, and no object
    assert kept
    assert not remains.exists()
    assert list(objects.list("")) == ["whole"]
