"""A PostgreSQL server that goes away is busy, not broken, and keeps what it acknowledged."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import create_engine

from benchmarks.chaos.postgres import Postgres
from cluster.domain.work import AnswerColumns
from cluster.errors import StoreBusy
from cluster.ports import Stores
from cluster.settings import Settings
from cluster.stores.leadership import open_leadership
from cluster.stores.opened import open_stores
from cluster.stores.sql.engine import Database
from tests.conformance import samples

BOUNDS = ("idle_in_transaction_session_timeout", "lock_timeout")
PARTITION = replace(samples.partition(), items=10**6, epoch=1)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    # Not below pytest's own folder, which every run of it closes to all other users, and the
    # server runs as one of its own.
    with TemporaryDirectory(prefix="muster-") as folder:
        Path(folder).chmod(0o755)
        with Postgres(Path(folder)) as running:
            yield running


@pytest.fixture
def stores(server: Postgres, tmp_path: Path) -> Stores:
    server.start()
    server.run(["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"])
    opened = open_stores(Settings(data_dir=tmp_path, database_url=server.url))
    opened.partitions.add([PARTITION])
    opened.partitions.acquire(PARTITION.job_id, PARTITION.number, PARTITION.shard_id)
    return opened


def kill(server: Postgres) -> None:
    server.stop(signal.SIGKILL)


def crash(server: Postgres) -> None:
    server.stop(signal.SIGQUIT)


def drop_sessions(server: Postgres) -> None:
    server.drop_sessions()


@pytest.mark.parametrize("strike", [kill, crash, drop_sessions])
def test_a_server_that_goes_away_is_busy_until_it_is_back(
    server: Postgres, stores: Stores, strike: Callable[[Postgres], None]
) -> None:
    # Given an acknowledged answer, and a session that is kept open for the next
    stores.answers.append(PARTITION, answer(0))
    # When the server goes away while a transaction is open
    with pytest.raises(StoreBusy):
        write_over(Database(server.url), lambda: strike(server))
    # Then whoever asks it meanwhile is told to come again
    if not server.answers():
        with pytest.raises(StoreBusy):
            stores.answers.append(PARTITION, answer(1))
        with pytest.raises(StoreBusy):
            stores.jobs.unfinished()
    # And once it is back all goes on, with what was acknowledged
    server.start()
    stores.answers.append(PARTITION, answer(1))
    assert stores.answers.read(PARTITION.job_id, 0, 10).positions.tolist() == [0, 1]


def test_a_transaction_the_server_cannot_order_is_tried_again_by_the_caller(
    server: Postgres, stores: Stores
) -> None:
    raise_40001 = "BEGIN RAISE EXCEPTION 'as if by chance' USING ERRCODE = '40001'; END"
    server.run(
        [
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $${raise_40001}$$",
            "CREATE TRIGGER refuse BEFORE INSERT ON answers EXECUTE FUNCTION refuse()",
        ]
    )
    with pytest.raises(StoreBusy):
        stores.answers.append(PARTITION, answer(0))
    server.run(["DROP TRIGGER refuse ON answers"])
    stores.answers.append(PARTITION, answer(0))
    assert len(stores.answers.read(PARTITION.job_id, 0, 10)) == 1


def test_whoever_stops_in_a_transaction_does_not_hold_up_the_others_for_good(
    server: Postgres, stores: Stores
) -> None:
    # Given a process that has locked a partition and is silent since, as one that was stopped is
    silent = create_engine(server.url).connect()
    silent.exec_driver_sql("SET idle_in_transaction_session_timeout = 500")
    silent.commit()
    silent.exec_driver_sql("SELECT 1 FROM partitions FOR SHARE")
    # When another opens the partition, then it waits for the former no longer than that
    stores.partitions.acquire(PARTITION.job_id, PARTITION.number, PARTITION.shard_id)
    # And every session of the stores has such a bound, and one on its own waiting
    with Database(server.url).reading() as connection:
        bounds = [connection.exec_driver_sql(f"SHOW {each}").scalar() for each in BOUNDS]
    assert "0" not in bounds


def test_a_leader_goes_on_as_one_while_the_server_is_away_and_another_leads_if_it_was_faster(
    server: Postgres, stores: Stores, tmp_path: Path
) -> None:
    assert stores.jobs.unfinished() == ()
    settings = Settings(data_dir=tmp_path, database_url=server.url)
    first, second = open_leadership(settings), open_leadership(settings)
    # Given one that leads, when the server dies, then it goes on, and nobody else leads
    assert first.held()
    server.stop(signal.SIGKILL)
    assert first.held()
    assert not second.held()
    # When the server is back, then it leads as before
    server.start()
    assert first.held()
    assert not second.held()
    # And when another one is there first after the next death, then that one leads
    server.stop(signal.SIGKILL)
    server.start()
    assert second.held()
    assert not first.held()
    first.close()
    second.close()


def write_over(database: Database, strike: Callable[[], None]) -> None:
    """Write in a transaction during which something happens."""
    with database.writing("wait") as connection:
        strike()
        connection.exec_driver_sql("SELECT 1")


def answer(position: int) -> AnswerColumns:
    return AnswerColumns.of([samples.answer(position)])
