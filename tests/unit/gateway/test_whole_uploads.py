"""Uploads in one request: their place, their time, their tenant's quota; all of one or nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from starlette.requests import ClientDisconnect

from cluster import paths
from cluster.domain.ids import TenantId
from cluster.errors import EmptySource, Overloaded, RateLimited, SlowBody, TooLarge
from cluster.settings import Limits, QuotaSettings
from cluster.tenant_errors import QuotaExceeded
from cluster.upload_errors import UploadNotFound
from cluster.upload_reader import open_upload
from serve_apps.gateway.slots import UploadSlots
from serve_apps.gateway.whole_uploads import WholeUploads
from tests.unit.gateway.test_resumable import TUS, body
from tests.unit.gateway.world import LIMITS, TENANT, World, acting, problem

ACME = TenantId(TENANT)
AS_ACME, AS_RIVAL = acting(), acting("rival")


def test_a_body_is_stored_and_counts(world: World) -> None:
    upload = asyncio.run(service(world).receive(AS_ACME, body(b"ab", b"cd"), 0))
    with open_upload(world.stores.objects, ACME, upload.upload_id) as stored:
        assert stored.read() == b"abcd"
    assert world.stores.uploads.get(ACME, upload.upload_id).is_whole
    assert world.stores.quotas.usage(ACME).upload_bytes == 4


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        ((b"ab", ClientDisconnect()), ClientDisconnect),
        ((b"ab", None), SlowBody),
        ((b"ab" * 30_000,), TooLarge),
        ((), EmptySource),
    ],
)
def test_a_body_that_is_refused_leaves_nothing(
    world: World, blocks: tuple[bytes | BaseException | None, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        asyncio.run(service(world, upload_part_timeout_s=0.05).receive(AS_ACME, body(*blocks), 0))
    assert list(world.stores.objects.list("")) == []
    assert world.stores.quotas.usage(ACME).upload_bytes == 0


def test_a_request_that_is_cancelled_leaves_nothing(world: World) -> None:
    async def cancelled() -> None:
        receiving = asyncio.create_task(service(world).receive(AS_ACME, waiting(), 0))
        await begun.wait()
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving

    async def waiting() -> AsyncIterator[bytes]:
        yield b"a" * 30_000
        begun.set()
        await asyncio.Event().wait()

    begun = asyncio.Event()
    asyncio.run(cancelled())
    unfinished = world.services.settings.data_dir / "objects" / ".unfinished"
    assert list(unfinished.iterdir()) == []


def test_a_tenant_stores_no_more_than_its_quota(world: World) -> None:
    whole = service(world, upload_bytes=10)
    first = asyncio.run(whole.receive(AS_ACME, body(b"123456"), 6))
    # A promise that is too long is refused before a byte is read, a body that is at its end
    for blocks, promised in (((RuntimeError(),), 5), ((b"12345",), 0)):
        with pytest.raises(QuotaExceeded, match="quota upload_bytes is 10, and 6 are used"):
            asyncio.run(whole.receive(AS_ACME, body(*blocks), promised))
    assert list(world.stores.objects.list("")) == [paths.upload(ACME, first.upload_id)]
    asyncio.run(whole.receive(AS_RIVAL, body(b"1234567890"), 10))
    # What is deleted makes room
    url = f"/v1/uploads/{first.upload_id}"
    assert world.call("DELETE", url, "client", headers=TUS).status_code == 204
    with pytest.raises(UploadNotFound):
        world.stores.uploads.get(ACME, first.upload_id)
    assert asyncio.run(whole.receive(AS_ACME, body(b"1234567890"), 10)).is_whole


def test_a_tenant_and_a_gateway_have_so_many_places(world: World) -> None:
    whole = service(world, upload_streams_max=2, tenant_streams=1)

    async def nested() -> AsyncIterator[bytes]:
        yield b"x"
        with pytest.raises(RateLimited, match="1 uploads of a tenant"):
            await whole.receive(AS_ACME, body(b"y"), 0)
        await whole.receive(AS_RIVAL, fuller(), 0)

    async def fuller() -> AsyncIterator[bytes]:
        yield b"x"
        with pytest.raises(Overloaded):
            await whole.receive(acting("third"), body(b"y"), 0)

    assert asyncio.run(whole.receive(AS_ACME, nested(), 0)).length_bytes == 1
    assert asyncio.run(whole.receive(AS_ACME, body(b"again"), 0)).length_bytes == 5


def test_over_http_a_quota_is_a_problem_that_says_how_much_is_used(world: World) -> None:
    most = QuotaSettings().upload_bytes_max
    full = replace(
        asyncio.run(service(world).receive(AS_ACME, body(b"x"), 1)),
        upload_id="upl-full",
        length_bytes=most - 1,
        received_bytes=most - 1,
    )
    world.stores.uploads.create(full, most)
    refused = world.call("POST", "/v1/uploads", "client", content=b"y")
    assert f"{most:,} are used" in problem(refused, 403, "quota-exceeded").detail


def service(
    world: World, upload_bytes: int = 10**6, tenant_streams: int = 9, **limits: object
) -> WholeUploads:
    """Return what a gateway with other limits would receive uploads with."""
    changed = Limits.model_validate({**LIMITS.model_dump(), **limits})
    quotas = QuotaSettings(upload_bytes_max=upload_bytes)
    update = {"limits": changed, "quotas": quotas}
    settings = world.services.settings.model_copy(update=update)
    slots = UploadSlots(changed.upload_streams_max, tenant_streams)
    return WholeUploads(replace(world.services, settings=settings), slots)
