"""The same lease and answer by `procrastinate`, a maintained task queue on PostgreSQL.

By its own `fetch_job` and `finish_job`, as its worker calls them: asynchronous, over a pool with a
connection for every client, a job at a time, for it has no way to fetch several.
"""

import asyncio

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Job, Status

_QUEUE = "questions"

_FILL = f"""
INSERT INTO procrastinate_jobs (queue_name, task_name)
SELECT '{_QUEUE}', 'answer' FROM generate_series(1, {{tasks}})
"""  # noqa: S608 nothing of anybody else's in it


def application(uri: str, clients: int) -> App:
    """Return procrastinate with a pool that has room for every client."""
    return App(connector=PsycopgConnector(conninfo=uri, min_size=clients, max_size=clients))


def build(uri: str, tasks: int) -> None:
    """Make procrastinate's schema and fill its queue."""

    async def make() -> None:
        app = application(uri, 1)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

    asyncio.run(make())
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(_FILL.format(tasks=tasks))
        connection.execute("VACUUM ANALYZE procrastinate_jobs")


class ProcrastinateClient:
    """One of procrastinate's workers, which takes `count` jobs one after the other."""

    def __init__(self, app: App, worker_id: int, count: int) -> None:
        self._app, self._worker_id, self._count = app, worker_id, count
        self._held: list[Job] = []

    async def claim(self) -> int:
        """Fetch jobs."""
        self._held = []
        for _ in range(self._count):
            job = await self._app.job_manager.fetch_job([_QUEUE], self._worker_id)
            if job is not None:
                self._held.append(job)
        return len(self._held)

    async def answer(self) -> int:
        """Finish them."""
        for job in self._held:
            await self._app.job_manager.finish_job(job, Status.SUCCEEDED, delete_job=False)
        return len(self._held)
