"""Opens what a job may read, and nothing else: its tenant's uploads and the operator's roots."""

import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

import pyarrow.fs as pafs

from cluster.domain.ids import TenantId
from cluster.errors import ForbiddenUri, ObjectMissing, StoreBusy, TooLarge, UnreadableSource
from cluster.ports import ObjectStore
from cluster.upload_reader import open_upload

_BUCKETS = ("s3:", "gs:")
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Sources:
    """Everything that one tenant may name by URI.

    `upload://id` is the tenant's own upload; `file:///path`, `s3://bucket/key` and
    `gs://bucket/key` lie inside one of the allowed roots. A bucket's root may carry the options of
    `pyarrow.fs.FileSystem.from_uri`; in a client's URI they would be a part of the key.
    Credentials come from where the libraries of S3 and GCS look for them, never from a client.
    """

    def __init__(
        self, objects: ObjectStore, tenant_id: TenantId, allowed_roots: Sequence[str]
    ) -> None:
        self._objects, self._tenant_id = objects, tenant_id
        self._folders = tuple(_folder(root) for root in allowed_roots if root.startswith("file:"))
        self._buckets = tuple(_Bucket(root) for root in allowed_roots if root.startswith(_BUCKETS))

    @contextmanager
    def open(self, uri: str, bytes_max: int) -> Iterator[BinaryIO]:
        """Open a source for random access while the context lasts.

        Raises ForbiddenUri, UnreadableSource and TooLarge. From then on a read that fails is the
        storage's fault and raises StoreBusy.
        """
        with self._find(uri) as stream:
            source = _Source(stream, uri)
            size = source.seek(0, os.SEEK_END)
            if size > bytes_max:
                raise TooLarge(uri, size, bytes_max)
            source.seek(0)
            yield cast("BinaryIO", source)

    def read(self, uri: str, bytes_max: int) -> bytes:
        """Return all of a small source; raises like `open`."""
        with self.open(uri, bytes_max) as stream:
            return stream.read()

    def _find(self, uri: str) -> BinaryIO:
        scheme, separator, rest = uri.partition("://")
        if any(character < " " or character == "\x7f" for character in unquote(rest)):
            raise ForbiddenUri(uri, "it holds a control character")
        match scheme if separator else "":
            case "upload":
                return self._find_upload(uri, rest)
            case "file":
                return self._find_file(uri, rest)
            case "s3" | "gs":
                return self._find_object(uri, rest)
            case _:
                raise ForbiddenUri(uri, "the schemes are upload://, file:///, s3:// and gs://")

    def _find_upload(self, uri: str, upload_id: str) -> BinaryIO:
        try:
            return open_upload(self._objects, self._tenant_id, upload_id)
        except ObjectMissing:
            raise UnreadableSource(uri, "there is no such upload") from None

    def _find_file(self, uri: str, rest: str) -> BinaryIO:
        if not rest.startswith("/"):
            raise ForbiddenUri(uri, "a file URI begins with file:///")
        path = Path(os.path.realpath(unquote(rest)))
        for root in self._folders:
            if path.is_relative_to(root):
                return _open_beneath(root, path.relative_to(root).parts, uri)
        raise ForbiddenUri(uri, "it lies outside the allowed roots")

    def _find_object(self, uri: str, key: str) -> BinaryIO:
        if any(segment in ("", ".", "..") for segment in key.split("/")):
            raise ForbiddenUri(uri, "a part of its key is empty, '.' or '..'")
        for bucket in self._buckets:
            if uri.startswith(bucket.prefix):
                return bucket.open(uri.removeprefix(bucket.prefix), uri)
        raise ForbiddenUri(uri, "it lies outside the allowed roots")


def _folder(root: str) -> Path:
    return Path(os.path.realpath(unquote(urlsplit(root).path)))


def _open_beneath(root: Path, parts: Sequence[str], uri: str) -> BinaryIO:
    """Open a file below a folder one step at a time, so that no link can be slipped in between."""
    try:
        with ExitStack() as folders:
            descriptor = os.open(root, _OPEN_FLAGS)
            for part in parts:
                folders.callback(os.close, descriptor)
                descriptor = os.open(part, _OPEN_FLAGS, dir_fd=descriptor)
    except (FileNotFoundError, NotADirectoryError):
        raise UnreadableSource(uri, "there is no such file") from None
    except OSError:
        raise UnreadableSource(uri, "it cannot be opened") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableSource(uri, "it is not a file")
    return os.fdopen(descriptor, "rb")


class _Bucket:
    """An allowed root in S3 or GCS; connected when it is first read from."""

    def __init__(self, root: str) -> None:
        self._root = root
        address = urlsplit(root)
        bucket = address.netloc.rpartition("@")[2]
        self.prefix = f"{address.scheme}://{bucket}{address.path.rstrip('/')}/"

    @cached_property
    def _connection(self) -> tuple[pafs.FileSystem, str]:
        return cast("tuple[pafs.FileSystem, str]", pafs.FileSystem.from_uri(self._root))

    def open(self, key: str, uri: str) -> BinaryIO:
        """Open the object at a key below the root; raises UnreadableSource."""
        try:
            filesystem, base = self._connection
            return cast("BinaryIO", filesystem.open_input_file(f"{base}/{key}"))
        except FileNotFoundError:
            raise UnreadableSource(uri, "there is no such object") from None
        except OSError:
            raise UnreadableSource(uri, "it cannot be opened") from None


class _Source(io.RawIOBase):
    """An opened source, in which a read that fails is told apart from a file that is damaged."""

    def __init__(self, stream: BinaryIO, uri: str) -> None:
        self._stream, self._uri = stream, uri

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._stream.read(size) if size >= 0 else self._stream.read()
        except OSError:
            raise StoreBusy(f"reading {self._uri}") from None
