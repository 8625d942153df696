"""Connections and transactions of the database behind the SQL stores."""

from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import Connection as SqliteConnection
from sqlite3 import Error as SqliteError
from threading import Lock

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from cluster.errors import StoreBusy

BUSY_TIMEOUT_S = 30.0
"""How long a write waits for another process's before it gives up with StoreBusy."""

CONNECTIONS_MAX, CONNECTIONS_KEPT = 64, 8
"""Of one process, and those that stay open while idle: PostgreSQL has a process for each. SQLite
keeps all, for which it only holds files open."""

_SQLITE_BUSY = frozenset({5, 6, 13})
"""SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL: the lock or the disk may be free later."""

_SQLSTATE_BUSY = frozenset({"40001", "40P01", "53100", "53300", "55P03", "57P03"})
"""PostgreSQL's serialization failure, deadlock, disk full, too many connections, lock not
available and cannot connect now (its manual, appendix A)."""


class Database:
    """One process's door to the database; for many threads, but never used across a fork."""

    def __init__(self, url: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._busy_timeout_s = busy_timeout_s
        is_sqlite = make_url(url).get_backend_name() == "sqlite"
        kept = CONNECTIONS_MAX if is_sqlite else CONNECTIONS_KEPT
        self._engine = create_engine(
            url,
            pool_size=kept,
            max_overflow=CONNECTIONS_MAX - kept,
            pool_timeout=busy_timeout_s,
            pool_pre_ping=not is_sqlite,
        )
        self.dialect: str = self._engine.dialect.name
        self._is_sqlite = self.dialect == "sqlite"
        self._writer = Lock()
        if self._is_sqlite:
            _tame_sqlite(self._engine, busy_timeout_s)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection in a read transaction; raises StoreBusy."""
        with _translated("read"), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self, operation: str) -> Iterator[Connection]:
        """Yield a connection in a write transaction, committed and synced when the block ends.

        Nothing is written where the block raises, nor where the database cannot take the write in
        time, which raises StoreBusy.
        """
        with self._turn(operation), _translated(operation), self._engine.connect() as connection:
            connection.execution_options(muster_writes=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close every idle connection."""
        self._engine.dispose()

    @contextmanager
    def _turn(self, operation: str) -> Iterator[None]:
        """Queue this process's threads before SQLite, which makes its writers wait by polling."""
        if not self._is_sqlite:
            yield
            return
        if not self._writer.acquire(timeout=self._busy_timeout_s):
            raise StoreBusy(operation)
        try:
            yield
        finally:
            self._writer.release()


def _tame_sqlite(engine: Engine, busy_timeout_s: float) -> None:
    """Make SQLite durable, strict about references and explicit about transactions."""

    @event.listens_for(engine, "connect")
    def configure(connection: SqliteConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late and only on DML
        for pragma in (
            f"busy_timeout = {int(busy_timeout_s * 1_000)}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("muster_writes", False)
        # A read that turns into a write cannot wait for its turn; it fails at once if it is late.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translated(operation: str) -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise StoreBusy(operation) from error
    except DBAPIError as error:
        if _is_busy(error.orig):
            raise StoreBusy(operation) from error
        raise


def _is_busy(error: BaseException | None) -> bool:
    if isinstance(error, SqliteError):
        code: int = getattr(error, "sqlite_errorcode", 0)
        return code & 0xFF in _SQLITE_BUSY  # the low byte of an extended code is its family
    return getattr(error, "sqlstate", None) in _SQLSTATE_BUSY
