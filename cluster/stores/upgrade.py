"""Brings a database to the schema this code was written for."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from cluster.stores.sql.dialect import one_writer
from cluster.stores.sql.engine import Database
from cluster.stores.sql.schema import HEAD


def upgrade(database: Database) -> None:
    """Run the migrations a database lacks, all or none; processes that come late wait.

    A database that is up to date is only read.
    """
    with database.reading() as connection:
        if _version(connection) == HEAD:
            return
    with database.writing("migrate") as connection:
        one_writer(connection, "migrate")
        if _version(connection) != HEAD:
            command.upgrade(migration_config(connection), "head")


def migration_config(connection: Connection | None = None) -> Config:
    """Return what Alembic must know; it works on the given connection and its transaction."""
    config = Config(attributes={"connection": connection})
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version
