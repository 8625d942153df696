"""What a job may read, and every way around it that must stay closed."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from cluster import paths
from cluster.domain.ids import TenantId
from cluster.errors import ForbiddenUri, StoreBusy, TooLarge, UnreadableSource
from cluster.stores.objects import MemoryObjects, open_objects
from ingest.sources import Sources
from tests.buckets import s3_endpoint

OUTSIDE = "it lies outside the allowed roots"
SCHEMES = "the schemes are upload://, file:///, s3:// and gs://"


def sources(*roots: str, tenant: str = "acme", objects: MemoryObjects | None = None) -> Sources:
    return Sources(objects or MemoryObjects(), TenantId(tenant), roots)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that jobs may read, with a file, beside one that they may not."""
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "items.jsonl").write_bytes(b"items")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "open-too").mkdir()
    (tmp_path / "open-too" / "items.jsonl").write_bytes(b"secret")
    return folder


def test_an_upload_is_read_by_its_tenant_alone() -> None:
    # Given an upload of one tenant
    objects = MemoryObjects()
    objects.write(paths.upload(TenantId("acme"), "u1"), b"items")
    # Then that tenant reads it, and for another it does not exist
    assert sources(objects=objects).read("upload://u1", 100) == b"items"
    for foreign in ("upload://u1", "upload://../acme/u1", "upload://acme/u1"):
        with pytest.raises(UnreadableSource) as error:
            sources(objects=objects, tenant="other").read(foreign, 100)
        assert error.value.reason == "there is no such upload"


def test_a_file_in_a_root_is_read_also_by_a_percent_encoded_name(root: Path) -> None:
    (root / "more files").mkdir()
    (root / "more files" / "ü#1?.csv").write_bytes(b"csv")
    allowed = sources("file:///nowhere", root.as_uri())
    assert allowed.read(f"file://{root}/items.jsonl", 100) == b"items"
    assert allowed.read(f"{root.as_uri()}/more%20files/%C3%BC%231%3F.csv", 100) == b"csv"


def test_a_link_within_a_root_and_a_root_that_is_a_link_are_followed(root: Path) -> None:
    (root / "link.jsonl").symlink_to(root / "items.jsonl")
    (root.parent / "way-in").symlink_to(root)
    allowed = sources((root.parent / "way-in").as_uri())
    assert allowed.read(f"file://{root.parent}/way-in/link.jsonl", 100) == b"items"


@pytest.mark.parametrize(
    "path",
    [
        "{root}/../secret.txt",
        "{root}/./../secret.txt",
        "{root}/%2e%2e/secret.txt",
        "{root}/..%2fsecret.txt",
        "{root}/missing/../../secret.txt",
        "{root}/link-to-file",
        "{root}/link-to-folder/secret.txt",
        "{root}/chain",
        "{root}-too/items.jsonl",
        "{root}/../open-too/items.jsonl",
        "/etc/passwd",
        "/proc/self/root/etc/passwd",
        "/",
    ],
)
def test_a_path_that_leads_out_of_the_roots_is_forbidden(root: Path, path: str) -> None:
    # Given links that lead out of the root
    (root / "link-to-file").symlink_to(root.parent / "secret.txt")
    (root / "link-to-folder").symlink_to(root.parent)
    (root / "chain").symlink_to(root / "link-to-file")
    # When a path is opened that leads there
    uri = f"file://{path.format(root=root)}"
    with pytest.raises(ForbiddenUri) as error:
        sources(root.as_uri()).read(uri, 100)
    # Then it is refused, whatever is there
    assert (error.value.uri, error.value.reason) == (uri, OUTSIDE)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://169.254.169.254/latest", SCHEMES),
        ("https://example.org/items.jsonl", SCHEMES),
        ("ftp://example.org/x", SCHEMES),
        ("FILE:///etc/passwd", SCHEMES),
        ("/etc/passwd", SCHEMES),
        ("file:/etc/passwd", SCHEMES),
        ("items.jsonl", SCHEMES),
        ("", SCHEMES),
        ("file://localhost/etc/passwd", "a file URI begins with file:///"),
        ("file://etc/passwd", "a file URI begins with file:///"),
        ("file:///etc/passwd%00.jsonl", "it holds a control character"),
        ("file:///etc/pass\nwd", "it holds a control character"),
        ("s3://bucket/data/../secret", "a part of its key is empty, '.' or '..'"),
        ("s3://bucket/data/./x", "a part of its key is empty, '.' or '..'"),
        ("s3://bucket/data//x", "a part of its key is empty, '.' or '..'"),
        ("s3://bucket/data/", "a part of its key is empty, '.' or '..'"),
        ("s3://bucket/database/x", OUTSIDE),
        ("s3://bucket/data", OUTSIDE),
        ("s3://other/data/x", OUTSIDE),
        ("s3://user:secret@bucket/data/x", OUTSIDE),
        ("gs://bucket/data/x", OUTSIDE),
        ("gs://user@cloud/data/x", OUTSIDE),
        ("gs://cloud/data/../secret", "a part of its key is empty, '.' or '..'"),
        ("s3://cloud/data/x", OUTSIDE),
    ],
)
def test_other_schemes_and_places_are_forbidden(uri: str, reason: str) -> None:
    with pytest.raises(ForbiddenUri) as error:
        sources("file:///data", "s3://bucket/data", "gs://cloud/data").read(uri, 100)
    assert error.value.reason == reason


def test_without_roots_no_file_and_no_bucket_is_allowed(root: Path) -> None:
    for uri in (f"file://{root}/items.jsonl", "s3://bucket/x"):
        with pytest.raises(ForbiddenUri):
            sources().read(uri, 100)


def test_what_is_not_there_or_is_no_file_is_unreadable(root: Path) -> None:
    os.mkfifo(root / "pipe")
    expected = {
        "missing.jsonl": "there is no such file",
        "items.jsonl/x": "there is no such file",
        "pipe": "it is not a file",
        "": "it is not a file",
        "x" * 300: "it cannot be opened",
    }
    for name, reason in expected.items():
        with pytest.raises(UnreadableSource) as error:
            sources(root.as_uri()).read(f"file://{root}/{name}", 100)
        assert error.value.reason == reason


def test_a_link_that_is_slipped_in_at_the_last_moment_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a link out of the root that was still a plain file when the path was judged
    (root / "late").symlink_to(root.parent)
    monkeypatch.setattr(os.path, "realpath", str)
    # Then it is not opened
    with pytest.raises(UnreadableSource) as error:
        sources(f"file://{root}").read(f"file://{root}/late/secret.txt", 100)
    assert error.value.reason in {"there is no such file", "it cannot be opened"}


def test_a_source_over_the_limit_is_too_large_with_its_size(root: Path) -> None:
    allowed = sources(root.as_uri())
    assert allowed.read(f"file://{root}/items.jsonl", 5) == b"items"
    with pytest.raises(TooLarge) as error:
        allowed.read(f"file://{root}/items.jsonl", 4)
    assert (error.value.size, error.value.limit) == (5, 4)


class Bucket(BaseHTTPRequestHandler):
    """As much of S3's protocol as reading one object takes."""

    content = b"0123456789" * 1_000
    broken = False

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, *, body: bool) -> None:
        if unquote(self.path.partition("?")[0]) != "/bucket/data/items 1.jsonl":
            self._send(404, b"")
            return
        if body and Bucket.broken:
            self._send(403, b"<Error><Code>AccessDenied</Code></Error>")
            return
        first, last = 0, len(self.content) - 1
        if wanted := self.headers.get("Range"):
            first, last = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
        self._send(206 if wanted else 200, self.content[first : last + 1], body=body)

    def _send(self, status: int, content: bytes, *, body: bool = True) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Fri, 20 Nov 2026 10:00:00 GMT")
        self.send_header("ETag", '"1"')
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The root of a bucket on this machine."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(Bucket, "broken", False)
    with listening(Bucket) as port:
        options = f"scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
        yield f"s3://bucket/data?{options}"


def test_an_object_in_an_allowed_bucket_is_read(bucket: str) -> None:
    allowed = sources(bucket)
    with allowed.open("s3://bucket/data/items 1.jsonl", 20_000) as stream:
        assert stream.read(10) == b"0123456789"
        stream.seek(-5, os.SEEK_END)
        assert stream.read() == b"56789"
    with pytest.raises(TooLarge):
        allowed.read("s3://bucket/data/items 1.jsonl", 9_999)
    with pytest.raises(UnreadableSource) as error:
        allowed.read("s3://bucket/data/missing", 100)
    assert error.value.reason == "there is no such object"


def test_a_client_cannot_choose_the_endpoint(bucket: str) -> None:
    # When a client's URI carries options of its own, they are a part of a key that is not there
    with pytest.raises(UnreadableSource) as error:
        sources(bucket).read("s3://bucket/data/x?endpoint_override=169.254.169.254", 100)
    assert error.value.reason == "there is no such object"


def test_storage_that_fails_while_it_is_read_is_to_be_tried_again(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sources(bucket).open("s3://bucket/data/items 1.jsonl", 20_000) as stream:
        monkeypatch.setattr(Bucket, "broken", True)
        with pytest.raises(StoreBusy) as error:
            stream.read(10)
    assert error.value.operation == "reading s3://bucket/data/items 1.jsonl"


def test_a_bucket_in_google_cloud_is_asked_for_what_lies_below_the_root() -> None:
    # Given a GCS endpoint that has nothing
    asked: list[str] = []

    class Nothing(Bucket):
        def do_GET(self) -> None:
            asked.append(self.path)
            self._send(404, b"{}")

    with listening(Nothing) as port:
        options = f"scheme=http&endpoint_override=127.0.0.1:{port}&retry_limit_seconds=1"
        allowed = sources(f"gs://anonymous@cloud/data?{options}")
        # When an object below the root is opened
        with pytest.raises(UnreadableSource) as error:
            allowed.read("gs://cloud/data/items.jsonl", 100)
    # Then it was looked for there and nowhere else
    assert error.value.reason == "there is no such object"
    assert {unquote(path) for path in asked} == {"/storage/v1/b/cloud/o/data/items.jsonl"}


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_source_of_many_blocks_is_read_from_s3() -> None:
    # Given an object in a bucket, inside the root, and one beside it
    content = bytes(range(256)) * 20_000
    with s3_endpoint("bucket") as options:
        stored = open_objects(f"s3://bucket?{options}")
        stored.write("data/items.jsonl", content)
        stored.write("secret/items.jsonl", content)
        allowed = sources(f"s3://bucket/data?{options}")
        # Then the one is read whole and at random, the other is not
        with allowed.open("s3://bucket/data/items.jsonl", len(content)) as stream:
            assert stream.read() == content
            stream.seek(1_000_003)
            assert stream.read(7) == content[1_000_003:1_000_010]
        with pytest.raises(ForbiddenUri):
            allowed.read("s3://bucket/secret/items.jsonl", len(content))
