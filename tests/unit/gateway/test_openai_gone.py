"""Files of OpenAI's clients whose uploads went another way: they are gone, and no fault."""

import pytest
from openai import NotFoundError, OpenAI

from cluster import paths
from cluster.domain.ids import TenantId
from cluster.domain.jobs import JobState
from cluster.settings import RetentionSettings
from serve_apps.gateway.adapters.openai.files import upload_id_of
from serve_apps.jobs.sweep import sweep
from tests.unit.gateway.test_openai import asked, client_of, created, uploaded
from tests.unit.gateway.test_resumable import TUS
from tests.unit.gateway.world import TENANT, World


@pytest.fixture
def client(world: World) -> OpenAI:
    return client_of(world)


def is_gone(client: OpenAI, file_id: str) -> bool:
    """Whether nothing knows a file any more."""
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(NotFoundError):
            call(file_id)
    with pytest.raises(NotFoundError):
        client.batches.create(
            input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    return file_id not in [file.id for file in client.files.list()]


def test_a_file_whose_upload_is_deleted_is_gone(world: World, client: OpenAI) -> None:
    file, other = uploaded(client, asked("a", "x")), uploaded(client, asked("b", "y"))
    path = f"/v1/uploads/{upload_id_of(file.id)}"
    assert world.call("DELETE", path, "client", headers=TUS).status_code == 204
    assert is_gone(client, file.id)
    assert [each.id for each in client.files.list()] == [other.id]


def test_a_file_goes_with_the_last_job_that_reads_it(world: World, client: OpenAI) -> None:
    # Given a job over a file, which is kept for a minute after its end
    file = uploaded(client, asked("a", "x"))
    terms = {"upload_id": upload_id_of(file.id), "format": "openai-batch", "label_field": "label"}
    job = world.submitted(items=None, expires_after_s=60.0, **terms)
    world.moved(job, JobState.COMPLETED)
    # When it has expired
    world.clock.time += 61.0
    sweep(world.stores, RetentionSettings(), world.clock)
    # Then the file is gone with it
    assert is_gone(client, file.id)


def test_a_file_of_which_only_the_name_is_left_is_gone(world: World, client: OpenAI) -> None:
    # Given a file whose bytes went before names went with them
    file = uploaded(client, asked("a", "x"))
    world.stores.objects.delete(paths.upload(TenantId(TENANT), upload_id_of(file.id)))
    # Then nothing reads it, and it can still be deleted
    with pytest.raises(NotFoundError):
        client.files.content(file.id)
    with pytest.raises(NotFoundError):
        created(client, file)
    assert client.files.delete(file.id).deleted
