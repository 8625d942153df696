"""API keys, for admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from cluster.domain.ids import KeyId, TenantId
from serve_apps.gateway.access import Wired, require_role
from serve_apps.gateway.acting import Acting
from serve_apps.gateway.keys import SECRET_BYTES, mint
from serve_apps.gateway.known_keys import KnownKeys
from serve_apps.gateway.schemas.keys import KeyRequest, KeyView, check_clearances, key_view
from serve_apps.gateway.strict_json import StrictJsonRoute

router = APIRouter(
    prefix="/v1/keys",
    tags=["keys"],
    dependencies=[Depends(require_role())],
    route_class=StrictJsonRoute,
)


@router.post("", status_code=201)
def issue_key(request: KeyRequest, services: Wired, actor: Acting) -> KeyView:
    """Issue a key; its text is in this response and nowhere else."""
    check_clearances(request)
    minted = mint(
        KeyId(services.new_id()),
        TenantId(request.tenant_id),
        request.role,
        services.clock.now(),
        services.random_bytes(SECRET_BYTES),
        frozenset(request.clearances),
    )
    act = actor.act("key.issue", minted.record.key_id, request)
    services.stores.keys.add(minted.record, act)
    return key_view(minted.record, minted.text)


@router.delete("/{key_id}", status_code=204)
def revoke_key(
    key_id: Annotated[str, Path(pattern=r"^[a-z0-9-]{1,64}$")],
    services: Wired,
    actor: Acting,
    request: Request,
) -> None:
    """Make a key useless; revoking an unknown key changes nothing.

    Gateways that have just looked it up hear of it within a second or so.
    """
    services.stores.keys.revoke(KeyId(key_id), actor.act("key.revoke", key_id))
    known: KnownKeys = request.app.state.known_keys
    known.forget(KeyId(key_id))
