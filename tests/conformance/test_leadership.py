"""One of all that share a database leads, until it gives the lead up or is gone."""

import pytest
from sqlalchemy import create_engine, text

from cluster.settings import Settings
from cluster.stores.leadership import open_leadership


def test_one_leads_until_it_gives_the_lead_up(settings: Settings) -> None:
    # Given two on one database
    first, second = open_leadership(settings), open_leadership(settings)
    # When both want to lead, again and again
    assert first.held()
    assert not second.held()
    assert first.held()
    # And the first gives up
    first.close()
    # Then the second leads, and the first does not get it back
    assert second.held()
    assert not first.held()
    second.close()


def test_a_lead_that_was_never_taken_can_be_given_up(settings: Settings) -> None:
    leadership = open_leadership(settings)
    leadership.close()
    assert leadership.held()
    leadership.close()


def test_a_leader_whose_session_ends_notices_and_another_leads(settings: Settings) -> None:
    if settings.database.startswith("sqlite"):
        pytest.skip("SQLite has no sessions; a file's lock goes with its process")
    # Given one that leads
    first, second = open_leadership(settings), open_leadership(settings)
    assert first.held()
    # When the server ends its session, as it does with those of machines that are gone
    engine = create_engine(settings.database)
    with engine.begin() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        )
    engine.dispose()
    # Then another one leads, and it knows that it does no longer
    assert second.held()
    assert not first.held()
    second.close()


def test_nobody_leads_where_the_database_is_out_of_reach() -> None:
    leadership = open_leadership(Settings(database_url="postgresql+psycopg://x@127.0.0.1:1/x"))
    assert not leadership.held()
