"""`muster keys`: who may do what."""

from typing import Annotated

import typer

from cluster.domain.access import Role
from serve_apps.cli.options import DEFAULT_URL, AsJson, Key, Url, connected
from serve_apps.cli.output import show_json, show_table


def issue_key(
    tenant: Annotated[str, typer.Argument(help="Whose key it shall be")],
    role: Annotated[Role, typer.Argument(help="What it may do")],
    *,
    cleared: Annotated[
        bool, typer.Option("--cleared", help="For workers: see what its tenant's jobs mask")
    ] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Issue an API key (with an admin key); it is shown this once."""
    with connected(url, key, as_json=as_json) as client:
        issued = client.issue_key(tenant, role, ("pii",) if cleared else ())
    if as_json:
        show_json(issued)
    else:
        show_table(("id", "tenant", "role"), [(issued.id, issued.tenant_id, issued.role)])
        typer.echo(issued.key)


def revoke_key(
    key_id: Annotated[str, typer.Argument(help="Id of the key: the middle part of its text")],
    *,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Make an API key useless from now on (with an admin key)."""
    with connected(url, key, as_json=False) as client:
        client.revoke_key(key_id)
