"""A disk without room is told apart from a defect, and what was stored stays whole."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem

from cluster.storage_errors import StorageFull
from cluster.stores.objects import BucketObjects, FolderObjects
from tests.conformance.full_disks import KINDS, full_disk

LARGE = bytes(200_000)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_without_room_keeps_what_it_had(tmp_path: Path, kind: str) -> None:
    objects = FolderObjects(tmp_path / "objects")
    with full_disk(kind, tmp_path / "objects"):
        # Given an object that fits
        objects.write("small", b"x")

        # When ones are written that do not: at once, in blocks, by Arrow, up to the last byte
        with pytest.raises(StorageFull, match="no room for large"):
            objects.write("large", LARGE)
        with pytest.raises(StorageFull), objects.open_output("blocks") as stream:
            stream.writelines([LARGE[:1_000]] * 200)
        with pytest.raises(StorageFull), objects.open_output("table") as stream:
            pq.write_table(pa.table({"content": [LARGE]}), stream, compression="none")
        with pytest.raises(StorageFull):
            objects.write("small", LARGE)

        # Then nothing of them is there, and the first is as it was
        assert list(objects.list("")) == ["small"]
        assert objects.read("small") == b"x"
        assert not list((tmp_path / "objects" / ".unfinished").iterdir())

        # And there is room again for what fits
        objects.write("next", LARGE[:10_000])


@pytest.mark.parametrize("kind", KINDS)
def test_a_bucket_whose_objects_find_no_room_on_the_way_says_so(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    objects = BucketObjects(LocalFileSystem(), str(bucket))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    with (
        full_disk(kind, tmp_path / "tmp"),
        pytest.raises(StorageFull),
        objects.open_output("large") as stream,
    ):
        stream.write(LARGE)

    assert list(objects.list("")) == []


def test_another_trouble_of_the_disk_is_not_called_full(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path)
    objects.write("folder/object", b"x")

    with pytest.raises(IsADirectoryError):
        objects.write("folder", b"x")
