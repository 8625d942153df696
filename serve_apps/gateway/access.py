"""What routes depend on: the services, the caller, and the role a route needs."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from cluster.domain.access import Caller, Role
from cluster.errors import Unauthenticated, WrongRole
from serve_apps.gateway.services import Services

BEARER = HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="`Authorization: Bearer msk_<id>_<secret>`"
)


# These dependencies are async because they never block: a sync one would cost a thread each.


async def services_of(request: Request) -> Services:
    """Return the services of the app that handles a request; a client's see its tenant alone."""
    services = cast("Services", request.app.state.services)
    caller = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller) or caller.role != "client":
        return services
    return replace(services, stores=services.stores.for_tenant(caller.tenant_id))


async def whole_services_of(request: Request) -> Services:
    """Return the services with what is no tenant's own; whoever asks looks whose a thing is."""
    return cast("Services", request.app.state.services)


async def caller_of(request: Request) -> Caller:
    """Return who sent a request; raises Unauthenticated where the gate let nobody in."""
    return _caller(request)


async def require_key(request: Request, _documented: Annotated[object, Security(BEARER)]) -> None:
    """Refuse a request without a caller; stands at the root router, so before all its routes."""
    _caller(request)


def require_role(*roles: Role) -> Callable[[Request], Awaitable[None]]:
    """Return a dependency that raises WrongRole unless the caller has one of the roles or admin."""

    async def check(request: Request) -> None:
        role = _caller(request).role
        if role != "admin" and role not in roles:
            raise WrongRole(role, (*roles, "admin"))

    return check


def _caller(request: Request) -> Caller:
    caller = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller):
        raise Unauthenticated
    return caller


Wired = Annotated[Services, Depends(services_of)]
"""The services, as a route parameter."""

Whole = Annotated[Services, Depends(whole_services_of)]
"""The services beyond the caller's tenant, as a route parameter: workers and keys are nobody's."""

Authenticated = Annotated[Caller, Depends(caller_of)]
"""The caller, as a route parameter."""
