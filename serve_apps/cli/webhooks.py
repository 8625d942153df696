"""`muster webhooks`: endpoints that are told of events."""

from typing import Annotated

import typer

from serve_apps.cli.options import DEFAULT_URL, AsJson, Key, Url, checked, connected
from serve_apps.cli.output import show_json, show_table
from serve_apps.gateway.schemas.webhooks import (
    EVENTS,
    WebhookList,
    WebhookRequest,
    WebhookView,
    WebhookWithSecret,
)

WebhookArgument = Annotated[str, typer.Argument(help="Id of the endpoint")]


def list_webhooks(*, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """List your endpoints."""
    with connected(url, key, as_json=as_json) as client:
        found = client.webhooks()
    if as_json:
        show_json(WebhookList(webhooks=found))
    else:
        _show_all(found)


def add_webhook(
    endpoint: Annotated[str, typer.Argument(help="URL to send to")],
    *,
    events: Annotated[str, typer.Option(help="What to tell of, with commas")] = ",".join(EVENTS),
    description: Annotated[str, typer.Option(help="What it is for")] = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Register an endpoint; its secret is shown this once."""
    given = {"url": endpoint, "events": events.split(","), "description": description}
    with checked():
        request = WebhookRequest.model_validate(given)
    with connected(url, key, as_json=as_json) as client:
        _show_new(
            client.add_webhook(request.url, request.events, request.description), as_json=as_json
        )


def show_webhook(
    webhook: WebhookArgument, *, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Show an endpoint, and what came of the last attempt."""
    with connected(url, key, as_json=as_json) as client:
        _show(client.webhook(webhook), as_json=as_json)


def rotate_webhook(
    webhook: WebhookArgument, *, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Give an endpoint another secret; for a time the old one signs, too."""
    with connected(url, key, as_json=as_json) as client:
        _show_new(client.rotate_webhook(webhook), as_json=as_json)


def enable_webhook(
    webhook: WebhookArgument, *, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Send to an endpoint again that was given up."""
    with connected(url, key, as_json=as_json) as client:
        _show(client.enable_webhook(webhook), as_json=as_json)


def ping_webhook(
    webhook: WebhookArgument, *, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Send an endpoint a test message."""
    with connected(url, key, as_json=as_json) as client:
        _show(client.ping_webhook(webhook), as_json=as_json)


def remove_webhook(webhook: WebhookArgument, *, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Delete an endpoint and what was on its way to it."""
    with connected(url, key, as_json=False) as client:
        client.remove_webhook(webhook)


def _show_new(webhook: WebhookWithSecret, *, as_json: bool) -> None:
    _show(webhook, as_json=as_json)
    if not as_json:
        typer.echo(webhook.secret)


def _show(webhook: WebhookView, *, as_json: bool) -> None:
    if as_json:
        show_json(webhook)
    else:
        _show_all((webhook,))


def _show_all(found: tuple[WebhookView, ...]) -> None:
    show_table(
        ("id", "url", "state", "last attempt", "next attempt"),
        [(each.id, each.url, each.state, _last(each), _next(each)) for each in found],
    )


def _last(webhook: WebhookView) -> str | None:
    last = webhook.last_attempt
    return None if last is None else f"{last.at:%Y-%m-%d %H:%M:%S} {last.error or last.status}"


def _next(webhook: WebhookView) -> str | None:
    at = webhook.next_attempt_at
    return None if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
