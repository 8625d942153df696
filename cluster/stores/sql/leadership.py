"""Which of several clusters on one PostgreSQL leads: the one whose session holds a lock."""

from contextlib import suppress

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

_LOCK = 7_236_177_081
"""The advisory lock's key; any number will do that nothing else in the database uses."""

_CONNECT_TIMEOUT_S = 5
_UNANSWERED_MS = 5_000
"""How long the network may swallow what is sent before the session counts as lost."""

_NOTICED_SOON = (
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
    "SET idle_session_timeout = '20s'",
)
"""Makes the server end the session of a machine that is gone, and free its lock, within 20 s; and
so that of a process that was stopped, whose machine still answers for it. A leader looks more often
than that."""


class SessionLeadership:
    """A `Leadership` by an advisory lock, which PostgreSQL frees when its session ends.

    A leader whose session has ended takes the lock again, unless another one has it by now. As long
    as the database is out of its reach it goes on as one: mostly nobody else reaches it either, and
    to start everything anew takes longer than the server does. So two may lead for a while: epochs
    and revisions keep the older one from storing anything that the newer one has not allowed.
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(
            url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={
                "connect_timeout": _CONNECT_TIMEOUT_S,
                "tcp_user_timeout": _UNANSWERED_MS,
            },
        )
        self._session: Connection | None = None
        self._leads = False

    def held(self) -> bool:
        """Take the lead where nobody has it; tell whether this process has it now."""
        if self._session is not None and not _lives(self._session):
            self._end_session()
        if self._session is None:
            # Out of reach, it stays what it was.
            with suppress(DBAPIError):
                self._session = self._locked()
                self._leads = self._session is not None
        return self._leads

    def close(self) -> None:
        """Give the lead up."""
        self._end_session()
        self._leads = False

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.invalidate()  # ends it at once, whatever state it is in
            self._session.close()
            self._session = None

    def _locked(self) -> Connection | None:
        session = self._engine.connect()
        for setting in _NOTICED_SOON:
            session.execute(text(setting))
        if session.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
            return session
        session.close()
        return None


def _lives(session: Connection) -> bool:
    try:
        session.execute(text("SELECT 1"))
    except DBAPIError:
        return False
    return True
