"""Opens every store of one deployment from its settings."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.ports import Stores
from cluster.settings import Settings
from cluster.stores.objects import open_objects
from cluster.stores.sealing import Seals
from cluster.stores.secrets import encryption_keys
from cluster.stores.sql import sql_stores
from cluster.stores.sql.engine import Database
from cluster.stores.sql.webhooks import seal_anew
from cluster.stores.upgrade import upgrade


def open_stores(settings: Settings) -> Stores:
    """Return the stores, made and migrated first where they are not yet.

    Cheap, so that every process opens its own; many may do so at once. The stores are for many
    threads, but never for two sides of a fork.
    """
    seals = Seals(encryption_keys(settings))
    return sql_stores(_migrated(settings, seals), open_objects(settings.objects), seals)


def migrate(settings: Settings) -> None:
    """Bring the database to this code's schema, and its secrets under the first key.

    Does nothing where they are there already.
    """
    _migrated(settings, Seals(encryption_keys(settings))).close()


def _migrated(settings: Settings, seals: Seals) -> Database:
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database)
    with _alone(settings.data_dir / "migrate.lock"):
        upgrade(database)
        seal_anew(database, seals)
    return database


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep the other processes of this machine out.

    The first connections to a new SQLite file put it into WAL mode, and of those that do so at
    the same moment one is now and then refused without waiting.
    """
    with path.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
