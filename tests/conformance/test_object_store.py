"""`ObjectStore`: immutable objects, whole or absent, and no way out of the root."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.errors import ForbiddenUri, ObjectMissing
from cluster.ports import ObjectStore

EVIL_PATHS = [
    "",
    "/etc/passwd",
    "..",
    "../up",
    "a/../../up",
    "a/..",
    "a/./b",
    "a//b",
    "a/",
    "a\\b",
    "..\\up",
    "a\0b",
    "a\nb",
    ".hidden",
    "a/.unfinished",
    ".unfinished/x",
]


def test_what_is_written_is_read(objects: ObjectStore) -> None:
    content = bytes(range(256)) * 1_000

    objects.write("jobs/j/items/000000.parquet", content)
    objects.write("empty", b"")

    assert objects.read("jobs/j/items/000000.parquet") == content
    assert objects.read("empty") == b""


def test_writing_again_replaces(objects: ObjectStore) -> None:
    objects.write("a/b", b"a long first version")
    objects.write("a/b", b"second")

    assert objects.read("a/b") == b"second"


def test_a_missing_object_is_missing(objects: ObjectStore) -> None:
    objects.write("a/b", b"")

    for path in ("a/c", "b", "a", "a/b/c"):
        with pytest.raises(ObjectMissing):
            objects.read(path)
        with pytest.raises(ObjectMissing):
            objects.open_input(path)


def test_an_input_is_random_access(objects: ObjectStore) -> None:
    objects.write("a", b"0123456789")

    with objects.open_input("a") as stream:
        assert stream.read(3) == b"012"
        stream.seek(-2, 2)
        assert stream.read() == b"89"


def test_parquet_goes_in_and_out_as_streams(objects: ObjectStore) -> None:
    table = pa.table({"position": [1, 2, 3], "content": ["a", "b", None]})

    with objects.open_output("t/1.parquet") as stream:
        pq.write_table(table, stream)

    with objects.open_input("t/1.parquet") as stream:
        assert pq.read_table(stream).equals(table)


def test_an_output_appears_only_when_it_is_whole(objects: ObjectStore) -> None:
    with objects.open_output("a/b") as stream:
        stream.write(b"first ")
        stream.flush()
        assert list(objects.list("")) == []
        with pytest.raises(ObjectMissing):
            objects.read("a/b")
        stream.write(b"second")

    assert objects.read("a/b") == b"first second"
    assert list(objects.list("")) == ["a/b"]


def test_an_output_whose_writer_fails_never_appears(objects: ObjectStore) -> None:
    objects.write("kept", b"old")

    def fail(path: str) -> None:
        with objects.open_output(path) as stream:
            stream.write(b"half")
            raise RuntimeError("half way")

    for path in ("kept", "new"):
        with pytest.raises(RuntimeError, match="half way"):
            fail(path)

    assert list(objects.list("")) == ["kept"]
    assert objects.read("kept") == b"old"


def test_an_output_may_be_closed_by_its_writer(objects: ObjectStore) -> None:
    with objects.open_output("a") as stream:
        stream.write(b"content")
        stream.close()

    assert objects.read("a") == b"content"


def test_listing_is_sorted_and_stays_below_the_folder(objects: ObjectStore) -> None:
    paths = ["a-b", "a/b", "a/b-c", "a/b/c", "ab", "b/a"]
    for path in ("a-b", "a/b-c", "a/b/c", "ab", "b/a"):
        objects.write(path, b"")

    stored = [path for path in sorted(paths) if path != "a/b"]
    assert list(objects.list("")) == stored
    assert list(objects.list("a")) == ["a/b-c", "a/b/c"]
    assert list(objects.list("a/")) == ["a/b-c", "a/b/c"]
    assert list(objects.list("a/b")) == ["a/b/c"]
    assert list(objects.list("nothing/here")) == []


def test_deleting_is_final_and_may_be_repeated(objects: ObjectStore) -> None:
    objects.write("a/b", b"")
    objects.write("a/c", b"")

    objects.delete("a/b")
    objects.delete("a/b")
    objects.delete("never/there")

    assert list(objects.list("")) == ["a/c"]
    with pytest.raises(ObjectMissing):
        objects.read("a/b")


@pytest.mark.parametrize("path", EVIL_PATHS)
def test_no_path_leaves_the_root_or_names_a_hidden_object(objects: ObjectStore, path: str) -> None:
    uses: list[Callable[[], object]] = [
        lambda: objects.write(path, b"x"),
        lambda: objects.read(path),
        lambda: objects.open_input(path),
        lambda: objects.open_output(path).__enter__(),
        lambda: objects.delete(path),
    ]

    for use in uses:
        with pytest.raises(ForbiddenUri):
            use()


@pytest.mark.parametrize("prefix", [path for path in EVIL_PATHS if path not in {"", "a/"}])
def test_no_listing_leaves_the_root(objects: ObjectStore, prefix: str) -> None:
    with pytest.raises(ForbiddenUri):
        list(objects.list(prefix))


def test_parallel_writers_of_one_object_leave_one_whole_version(objects: ObjectStore) -> None:
    versions = [bytes([n]) * 100_000 for n in range(16)]

    with ThreadPoolExecutor(8) as threads:
        writes = [threads.submit(objects.write, "a", version) for version in versions]
        for write in writes:
            write.result()
            assert objects.read("a") in versions

    assert list(objects.list("")) == ["a"]
