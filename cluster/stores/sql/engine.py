"""Connections and transactions of the database behind the SQL stores."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from sqlite3 import Connection as SqliteConnection
from sqlite3 import Error as SqliteError
from threading import Lock
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from cluster.domain.ids import TenantId
from cluster.errors import StoreBusy

BUSY_TIMEOUT_S = 30.0
"""How long a write waits for another process's before it gives up with StoreBusy."""

CONNECTIONS_MAX, CONNECTIONS_KEPT = 64, 8
"""Of one process, and those that stay open while idle: PostgreSQL has a process for each. SQLite
keeps all, for which it only holds files open."""

_CONNECT_TIMEOUT_S = 5
_UNANSWERED_MS = 15_000
"""How long a server may leave unanswered what is sent before it counts as gone."""

_IDLE_MS = 15_000
"""How long a transaction may wait for its process: one that was stopped, or has lost the network,
would else keep all others from what it has locked."""

_SQLITE_BUSY = frozenset({5, 6, 13})
"""SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL: the lock or the disk may be free later."""

_SQLSTATE_BUSY = frozenset(
    {"25P03", "40001", "40P01", "53100", "53300", "55P03", "57P01", "57P02", "57P03", "58030"}
)
"""PostgreSQL's idle-in-transaction timeout, serialization failure, deadlock, disk full, too many
connections, lock not available, shutdown by an administrator or a crash, cannot connect now, and
I/O error (its manual, appendix A)."""

_SQLSTATE_CONNECTION = "08"
"""The class of errors that tell of a connection that was refused, lost or broken."""


_AS_TENANT = text(
    "SELECT set_config('muster.tenant', :tenant_id, true), "
    "set_config('role', 'muster_tenant', true)"
)


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
            connect_args={}
            if is_sqlite
            else {"connect_timeout": _CONNECT_TIMEOUT_S, "tcp_user_timeout": _UNANSWERED_MS},
        )
        self.dialect: str = self._engine.dialect.name
        self.tenant_id: TenantId | None = None
        self._is_sqlite = self.dialect == "sqlite"
        self._writer = Lock()
        if self._is_sqlite:
            _tame_sqlite(self._engine, busy_timeout_s)
        else:
            _bound_waits(self._engine, busy_timeout_s)

    def for_tenant(self, tenant_id: TenantId) -> Self:
        """Return this database as one tenant sees it, over the same connections.

        PostgreSQL then shows no row of another tenant and takes none, whatever is asked of it
        (migration 0010); SQLite has no such thing, and shows all.
        """
        view = copy(self)
        view.tenant_id = None if self._is_sqlite else tenant_id
        return view

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection in a read transaction; raises StoreBusy."""
        with _translated("read"), self._engine.begin() as connection:
            self._bind(connection)
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
                self._bind(connection)
                yield connection

    def close(self) -> None:
        """Close every idle connection."""
        self._engine.dispose()

    def _bind(self, connection: Connection) -> None:
        """Bind a transaction to the tenant, until it ends."""
        if self.tenant_id is not None:
            connection.execute(_AS_TENANT, {"tenant_id": self.tenant_id})

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


def _bound_waits(engine: Engine, busy_timeout_s: float) -> None:
    """Make PostgreSQL wait no longer for a lock than SQLite does, and for no silent process."""

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: ConnectionPoolEntry) -> None:
        connection.execute(f"SET lock_timeout = {int(busy_timeout_s * 1_000)}")
        connection.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_MS}")
        connection.commit()


@contextmanager
def _translated(operation: str) -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise StoreBusy(operation) from error
    except DBAPIError as error:
        if error.connection_invalidated or _is_busy(error):
            raise StoreBusy(operation) from error
        raise


def _is_busy(error: DBAPIError) -> bool:
    """Whether the same may succeed later: the server is away, or has too much to do or no room."""
    if isinstance(error.orig, SqliteError):
        code: int = getattr(error.orig, "sqlite_errorcode", 0)
        return code & 0xFF in _SQLITE_BUSY  # the low byte of an extended code is its family
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is None:
        # No word from the server: it was not reached, or the connection was lost on the way.
        return isinstance(error, OperationalError)
    return state in _SQLSTATE_BUSY or state.startswith(_SQLSTATE_CONNECTION)
