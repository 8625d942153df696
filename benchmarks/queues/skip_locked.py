"""The queue one would write on PostgreSQL: leases by `FOR UPDATE SKIP LOCKED`.

One statement claims n rows whose lease is over or was never given, the next one stores the
answers. Both are prepared, each is one transaction and one round trip, and every client has a
connection of its own. The index holds only what is unanswered, in the order in which it is given
out.
"""

import psycopg

_SCHEMA = """
CREATE TABLE task (
    id bigint PRIMARY KEY,
    free_at timestamptz NOT NULL DEFAULT '-infinity',
    worker_id text,
    label smallint,
    answered_at timestamptz
) WITH (fillfactor = 70);
INSERT INTO task (id) SELECT generate_series(1, {tasks});
CREATE INDEX task_free ON task (free_at, id) WHERE label IS NULL;
"""

_CLAIM = """
UPDATE task SET free_at = now() + interval '120 s', worker_id = %s
WHERE id IN (
    SELECT id FROM task WHERE label IS NULL AND free_at <= now()
    ORDER BY free_at, id LIMIT %s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""

_ANSWER = """
UPDATE task SET label = %s, answered_at = now()
WHERE id = ANY(%s) AND worker_id = %s AND label IS NULL
"""


def build(uri: str, tasks: int) -> None:
    """Make the table and fill it."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(_SCHEMA.format(tasks=tasks))
        connection.execute("VACUUM ANALYZE task")


class SkipLockedClient:
    """One worker's connection."""

    def __init__(self, uri: str, number: int, count: int) -> None:
        self._connection = psycopg.connect(uri, autocommit=True)
        self._worker_id, self._count = f"worker-{number}", count
        self._held: list[int] = []

    def claim(self) -> int:
        """Lease rows."""
        rows = self._connection.execute(_CLAIM, (self._worker_id, self._count), prepare=True)
        self._held = [row[0] for row in rows.fetchall()]
        return len(self._held)

    def answer(self) -> int:
        """Store the answers."""
        sent = (self._held[0] % 10, self._held, self._worker_id)
        return self._connection.execute(_ANSWER, sent, prepare=True).rowcount

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
