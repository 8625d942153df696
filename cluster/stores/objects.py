"""Immutable objects in a folder, in a bucket, or in this process's memory."""

import io
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import BinaryIO, cast

import pyarrow.fs as pafs
from typing_extensions import Buffer

from cluster.domain.ids import UnixSeconds
from cluster.errors import ForbiddenUri, InvalidField, ObjectMissing
from cluster.ports import ObjectStore
from cluster.storage_errors import StorageFull, StorageUnreachable, is_no_room

_COPY_BYTES = 4 * 2**20
_ABANDONED_AFTER_S = 86_400.0


def open_objects(uri: str) -> ObjectStore:
    """Return the object store at `file:///folder`, `s3://bucket/prefix` or `gs://bucket/prefix`.

    Raises InvalidField for another scheme. Credentials of buckets come from where their own
    libraries look for them.
    """
    scheme, _, rest = uri.partition("://")
    if scheme == "file" and rest.startswith("/"):
        folder = FolderObjects(Path(rest))
        folder.sweep(time.time() - _ABANDONED_AFTER_S)
        return folder
    if scheme in {"s3", "gs"} and rest:
        filesystem, root = pafs.FileSystem.from_uri(uri)
        return BucketObjects(filesystem, root)
    raise InvalidField("objects_uri", "must be file:///folder, s3://bucket or gs://bucket")


def checked(path: str) -> str:
    """Return a path of plain, visible segments; raises ForbiddenUri for any other.

    What passes cannot leave the store's root, nor name the same object in two ways, nor reach
    the hidden folder in which a `FolderObjects` keeps what is being written.
    """
    if any(ord(character) < 0x20 or character in "\\\x7f" for character in path):
        raise ForbiddenUri(path, "a path has no backslash and no control character")
    if any(not segment or segment.startswith(".") for segment in path.split("/")):
        raise ForbiddenUri(path, "a path is relative and no part of it is empty or begins with '.'")
    return path


class FolderObjects:
    """An `ObjectStore` in a local folder; a finished write survives a crash of the machine."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unfinished = root / ".unfinished"

    def write(self, path: str, content: bytes) -> None:
        """Store bytes under a path, replacing what was there."""
        with self.open_output(path) as stream:
            stream.write(content)

    def read(self, path: str) -> bytes:
        """Return an object's bytes; raises ObjectMissing."""
        with self.open_input(path) as stream:
            return stream.read()

    def open_input(self, path: str) -> BinaryIO:
        """Open an object for random access; raises ObjectMissing."""
        try:
            return (self._root / checked(path)).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ObjectMissing(path) from None

    @contextmanager
    def open_output(self, path: str) -> Iterator[BinaryIO]:
        """Open an object for streamed writing; it appears when the context ends without error."""
        target = self._root / checked(path)
        with _room_for(path), self._appearing_at(target) as stream:
            yield stream

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the paths below a folder, sorted."""
        folder = self._root / checked(prefix.rstrip("/")) if prefix else self._root
        yield from sorted(
            (Path(parent) / name).relative_to(self._root).as_posix()
            for parent, _, names in os.walk(folder)
            if self._unfinished != Path(parent)
            for name in names
        )

    def delete(self, path: str) -> None:
        """Remove an object; removing a missing one changes nothing."""
        with suppress(FileNotFoundError, NotADirectoryError):
            (self._root / checked(path)).unlink()

    def sweep(self, before: UnixSeconds) -> None:
        """Remove what writers that were killed left behind and nobody has touched since."""
        for abandoned in self._unfinished.glob("*"):
            with suppress(FileNotFoundError):
                if abandoned.stat().st_mtime < before:
                    abandoned.unlink()

    @contextmanager
    def _appearing_at(self, target: Path) -> Iterator[BinaryIO]:
        _make_folder(self._unfinished)
        with tempfile.NamedTemporaryFile(dir=self._unfinished, delete=False) as stream:
            unfinished = Path(stream.name)
            try:
                yield cast("BinaryIO", stream)
                stream.close()
                _sync(unfinished)
                _make_folder(target.parent)
                unfinished.replace(target)
                _sync(target.parent)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise


class BucketObjects:
    """An `ObjectStore` in a bucket, where a single upload appears whole or not at all.

    Arrow sends a request again for some seconds where it failed for a while; after that, here and
    in what is opened here, StorageUnreachable is raised.
    """

    def __init__(self, filesystem: pafs.FileSystem, root: str) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")

    def write(self, path: str, content: bytes) -> None:
        """Store bytes under a path, replacing what was there."""
        key = self._key(path)
        with _reached(path), self._filesystem.open_output_stream(key) as upload:
            upload.write(content)

    def read(self, path: str) -> bytes:
        """Return an object's bytes; raises ObjectMissing."""
        with self.open_input(path) as stream:
            return stream.read()

    def open_input(self, path: str) -> BinaryIO:
        """Open an object for random access; raises ObjectMissing."""
        key = self._key(path)
        with _reached(path):
            opened = self._filesystem.open_input_file(key)
        return cast("BinaryIO", _Download(opened, path))

    @contextmanager
    def open_output(self, path: str) -> Iterator[BinaryIO]:
        """Open an object for streamed writing; it appears when the context ends without error.

        It is collected on local disk first: Arrow's upload streams cannot be abandoned, the half
        that was sent would appear when they are collected.
        """
        key = self._key(path)
        with _room_for(path), tempfile.TemporaryDirectory(prefix="muster-") as folder:
            collected = Path(folder) / "object"
            with collected.open("wb") as stream:
                yield stream
            with (
                _reached(path),
                collected.open("rb") as whole,
                self._filesystem.open_output_stream(key) as upload,
            ):
                shutil.copyfileobj(whole, upload, _COPY_BYTES)

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the paths below a folder, sorted."""
        folder = self._key(prefix.rstrip("/")) if prefix else self._root
        selector = pafs.FileSelector(folder, recursive=True, allow_not_found=True)
        with _reached(prefix):
            found = self._filesystem.get_file_info(selector)
        yield from sorted(
            each.path.removeprefix(f"{self._root}/")
            for each in found
            if each.type == pafs.FileType.File
        )

    def delete(self, path: str) -> None:
        """Remove an object; removing a missing one changes nothing."""
        key = self._key(path)
        with suppress(ObjectMissing), _reached(path):
            self._filesystem.delete_file(key)

    def _key(self, path: str) -> str:
        return f"{self._root}/{checked(path)}"


class _Download(io.RawIOBase):
    """An opened object of a bucket, whose reads raise StorageUnreachable."""

    def __init__(self, opened: BinaryIO, path: str) -> None:
        self._opened, self._path = opened, path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._opened.seek(offset, whence)

    def tell(self) -> int:
        return self._opened.tell()

    def read(self, size: int = -1, /) -> bytes:
        with _reached(self._path):
            return self._opened.read(size) if size >= 0 else self._opened.read()

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        content = self.read(len(view))
        view[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._opened.close()
        super().close()


class MemoryObjects:
    """An `ObjectStore` in this process's memory."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._objects: dict[str, bytes] = {}

    def write(self, path: str, content: bytes) -> None:
        """Store bytes under a path, replacing what was there."""
        with self._lock:
            self._objects[checked(path)] = bytes(content)

    def read(self, path: str) -> bytes:
        """Return an object's bytes; raises ObjectMissing."""
        with self._lock:
            content = self._objects.get(checked(path))
        if content is None:
            raise ObjectMissing(path)
        return content

    def open_input(self, path: str) -> BinaryIO:
        """Open an object for random access; raises ObjectMissing."""
        return io.BytesIO(self.read(path))

    @contextmanager
    def open_output(self, path: str) -> Iterator[BinaryIO]:
        """Open an object for streamed writing; it appears when the context ends without error."""
        checked(path)
        with _Kept() as stream:
            yield stream
        self.write(path, stream.content)

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the paths below a folder, sorted."""
        folder = f"{checked(prefix.rstrip('/'))}/" if prefix else ""
        with self._lock:
            found = sorted(path for path in self._objects if path.startswith(folder))
        yield from found

    def delete(self, path: str) -> None:
        """Remove an object; removing a missing one changes nothing."""
        with self._lock:
            self._objects.pop(checked(path), None)


class _Kept(io.BytesIO):
    """A buffer whose content outlives its closing: some writers close what they are given."""

    content = b""

    def close(self) -> None:
        if not self.closed:
            self.content = self.getvalue()
        super().close()


@contextmanager
def _room_for(path: str) -> Iterator[None]:
    """Raise StorageFull where the disk takes no more; a buffered write says so as late as close."""
    try:
        yield
    except OSError as error:
        if is_no_room(error):
            raise StorageFull(path) from error
        raise


@contextmanager
def _reached(path: str) -> Iterator[None]:
    """Raise what an error of a bucket comes to; some it has told only as their message."""
    try:
        yield
    except FileNotFoundError:
        raise ObjectMissing(path) from None
    except OSError as error:
        if is_no_room(error):
            raise StorageFull(path) from error
        raise StorageUnreachable(path) from error


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each durably."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(path: Path) -> None:
    """Bring a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
