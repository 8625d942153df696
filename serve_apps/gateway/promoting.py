"""Changes to which version of a line is live, by whoever may: one step, or a reason why not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from starlette.concurrency import run_in_threadpool

from cluster.domain.access import Caller
from cluster.domain.ids import ModelName
from cluster.domain.lines import LineStep
from cluster.errors import ModelNotFound, PreconditionFailed, StaleRevision, StoreBusy, Unavailable
from cluster.ports import Stores
from cluster.tenant_errors import NoEarlierVersion
from serve_apps.gateway.acting import Actor
from serve_apps.gateway.etags import etag_of, expected
from serve_apps.gateway.schemas.models import LiveRequest, RollbackRequest, full_name
from serve_apps.gateway.services import Services
from training.lines import make_live, roll_back, version_before
from training.rollout import Why

ATTEMPTS_MAX = 50
"""How often a change is tried against others at the same moment."""


async def promoted(
    name: str, request: LiveRequest, if_match: str | None, actor: Actor, services: Services
) -> LineStep:
    """Make a version live, once the replicas have it loaded.

    Raises ModelNotFound, ModelUnusable, ReplicaLost where replicas are lost over it or cannot be
    reached, and PreconditionFailed where the line is not as expected.
    """
    stores, why = services.stores, _why(request.reason or "by hand", actor)

    act = actor.act("model.promote", full_name(actor.tenant_id, name), request)

    def change(standing: LineStep) -> LineStep:
        return make_live(stores, standing, request.version, why, act)

    with _as_named(name):
        await _warm(full_name(actor.tenant_id, name), request.version, services)
        return await run_in_threadpool(
            _changed, name, change, request.expected_live, if_match, actor.caller, stores
        )


async def taken_back(
    name: str, request: RollbackRequest, if_match: str | None, actor: Actor, services: Services
) -> LineStep:
    """Make the version live again that was so before the live one.

    It has been live: where replicas cannot be reached, whoever asks first loads it. Raises
    NoEarlierVersion, and otherwise as `promoted` does, but for ReplicaLost.
    """
    stores, why = services.stores, _why(request.reason or "by hand", actor)

    act = actor.act("model.rollback", full_name(actor.tenant_id, name), request)

    def change(standing: LineStep) -> LineStep:
        return roll_back(stores, standing, why, act)

    with _as_named(name):
        line = full_name(actor.tenant_id, name)
        standing = await run_in_threadpool(stores.lines.standing, line)
        before = await run_in_threadpool(version_before, stores, standing)
        if before is None:
            raise NoEarlierVersion(ModelName(name), standing.live)
        with suppress(Unavailable):
            await _warm(line, before, services)
        return await run_in_threadpool(
            _changed, name, change, request.expected_live, if_match, actor.caller, stores
        )


@contextmanager
def _as_named(name: str) -> Iterator[None]:
    """Name a line in errors as its tenant does."""
    try:
        yield
    except ModelNotFound as error:
        raise ModelNotFound(ModelName(name), error.version) from error


async def _warm(line: ModelName, version: int, services: Services) -> None:
    """Load a version on the replicas."""
    record = await run_in_threadpool(services.stores.models.get, line, version)
    await services.online.warm(record.spec)


def _changed(
    name: str,
    change: Callable[[LineStep], LineStep],
    expected_live: int | None,
    if_match: str | None,
    caller: Caller,
    stores: Stores,
) -> LineStep:
    line = full_name(caller.tenant_id, name)
    for _ in range(ATTEMPTS_MAX):
        standing = stores.lines.standing(line)
        etag = etag_of(standing.revision)
        if not expected(if_match, etag) or expected_live not in (None, standing.live):
            raise PreconditionFailed(f"model {name}", etag)
        with suppress(StaleRevision):
            return change(standing)
    raise StoreBusy(f"changing model {name}")


def _why(reason: str, actor: Actor) -> Why:
    return Why(by=f"key {actor.caller.key_id}", reason=reason, at=actor.at)
