"""Partitions of jobs in SQL."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Select, select, update

from cluster.domain.ids import JobId, ShardId
from cluster.domain.work import Partition
from cluster.errors import JobNotFound
from cluster.stores.sql import schema
from cluster.stores.sql.dialect import insert_new
from cluster.stores.sql.engine import Database

_partitions = schema.partitions.c


class SqlPartitions:
    """A `PartitionStore` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, partitions: Sequence[Partition]) -> None:
        """Record partitions at epoch 0; recording one (job, number) again changes nothing."""
        rows = [{**asdict(partition), "epoch": 0} for partition in partitions]
        with self._database.writing("add partitions") as connection:
            insert_new(connection, schema.partitions, rows)

    def acquire(self, job_id: JobId, number: int, shard_id: ShardId) -> Partition:
        """Make a shard the owner at the next epoch; raises JobNotFound for no such partition."""
        statement = (
            update(schema.partitions)
            .where(_partitions.job_id == job_id, _partitions.number == number)
            .values(epoch=_partitions.epoch + 1, shard_id=shard_id)
            .returning(schema.partitions)
        )
        with self._database.writing("acquire partition") as connection:
            row = connection.execute(statement).mappings().one_or_none()
            if row is None:
                raise JobNotFound(job_id)
            return Partition(**row)

    def owned_by(self, shard_id: ShardId) -> tuple[Partition, ...]:
        """Return a shard's partitions of unfinished jobs."""
        unfinished = select(schema.jobs.c.job_id).where(~schema.jobs.c.finished)
        return self._read(
            select(schema.partitions).where(
                _partitions.shard_id == shard_id, _partitions.job_id.in_(unfinished)
            )
        )

    def of_job(self, job_id: JobId) -> tuple[Partition, ...]:
        """Return a job's partitions by number."""
        return self._read(select(schema.partitions).where(_partitions.job_id == job_id))

    def _read(self, statement: Select[tuple[object, ...]]) -> tuple[Partition, ...]:
        ordered = statement.order_by(_partitions.job_id, _partitions.number)
        with self._database.reading() as connection:
            return tuple(Partition(**row) for row in connection.execute(ordered).mappings())
