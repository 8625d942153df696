"""Webhooks: endpoints of a tenant that are told of events."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from cluster.domain.webhooks import Webhook, WebhookKind, WebhookState
from cluster.tenant_errors import WebhookDisabled
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.acting import Acting
from serve_apps.gateway.schemas.webhooks import (
    WebhookList,
    WebhookRequest,
    WebhookView,
    WebhookWithSecret,
    webhook_view,
    with_secret,
)
from serve_apps.gateway.strict_json import StrictJsonRoute
from serve_apps.webhooks.messages import SECRET_BYTES, ping, secret_of

router = APIRouter(
    prefix="/v1/webhooks",
    tags=["webhooks"],
    dependencies=[Depends(require_role("client"))],
    route_class=StrictJsonRoute,
)

WebhookPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


@router.post("", status_code=201)
def register_webhook(
    request: WebhookRequest, actor: Acting, services: Wired, response: Response
) -> WebhookWithSecret:
    """Register an endpoint; its secret is in this response and nowhere else."""
    services.egress.check(request.url)
    webhook = Webhook(
        webhook_id=f"whk-{services.new_id()}",
        tenant_id=actor.tenant_id,
        url=request.url,
        kinds=frozenset(map(WebhookKind, request.events)),
        description=request.description,
        secret=secret_of(services.random_bytes(SECRET_BYTES)),
        created_at=services.clock.now(),
    )
    act = actor.act("webhook.add", webhook.webhook_id, request)
    services.stores.webhooks.add(webhook, services.settings.webhooks.tenant_max, act)
    response.headers["Location"] = f"/v1/webhooks/{webhook.webhook_id}"
    return with_secret(webhook)


@router.get("")
def list_webhooks(caller: Authenticated, services: Wired) -> WebhookList:
    """List all endpoints of the tenant."""
    found = services.stores.webhooks.of_tenant(caller.tenant_id)
    return WebhookList(webhooks=tuple(map(webhook_view, found)))


@router.get("/{webhook_id}")
def show_webhook(webhook_id: WebhookPath, caller: Authenticated, services: Wired) -> WebhookView:
    """Show an endpoint, and what came of the last attempt to tell it something."""
    return webhook_view(services.stores.webhooks.get(caller.tenant_id, webhook_id))


@router.delete("/{webhook_id}", status_code=204)
def remove_webhook(webhook_id: WebhookPath, actor: Acting, services: Wired) -> None:
    """Delete an endpoint and what was on its way to it."""
    act = actor.act("webhook.remove", webhook_id)
    services.stores.webhooks.remove(actor.tenant_id, webhook_id, act)


@router.post("/{webhook_id}/rotate")
def rotate_secret(webhook_id: WebhookPath, actor: Acting, services: Wired) -> WebhookWithSecret:
    """Give an endpoint another secret, shown this once; for a time the old one signs, too."""
    secret = secret_of(services.random_bytes(SECRET_BYTES))
    until = services.clock.now() + services.settings.webhooks.secret_overlap_s
    tenant_id, act = actor.tenant_id, actor.act("webhook.rotate", webhook_id)
    return with_secret(services.stores.webhooks.rotate(tenant_id, webhook_id, secret, until, act))


@router.post("/{webhook_id}/enable")
def enable_webhook(webhook_id: WebhookPath, actor: Acting, services: Wired) -> WebhookView:
    """Send to an endpoint again that was given up; what it missed meanwhile stays missed."""
    tenant_id, act = actor.tenant_id, actor.act("webhook.enable", webhook_id)
    return webhook_view(services.stores.webhooks.enable(tenant_id, webhook_id, act))


@router.post("/{webhook_id}/test", status_code=202)
def ping_webhook(webhook_id: WebhookPath, actor: Acting, services: Wired) -> WebhookView:
    """Send a `ping`; what came of it is in `last_attempt` a moment later."""
    stores = services.stores
    webhook = stores.webhooks.get(actor.tenant_id, webhook_id)
    if webhook.state is not WebhookState.ENABLED:
        raise WebhookDisabled(webhook_id, webhook.state)
    stores.audit.append(actor.act("webhook.ping", webhook_id))
    sent = ping(webhook, services.new_id(), services.clock.now())
    stores.deliveries.enqueue([sent], services.settings.webhooks.waiting_max)
    return webhook_view(stores.webhooks.get(webhook.tenant_id, webhook_id))
