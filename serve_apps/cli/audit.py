"""`muster audit`: who did what, and whether the record of it is whole."""

import re
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import BaseModel

from cluster.audit import Fault, checked
from cluster.domain.audit import Head
from serve_apps.cli.options import DEFAULT_URL, WRONG_USE, AsJson, Key, Url, connected
from serve_apps.cli.output import show_error, show_json, show_table
from serve_apps.gateway.schemas.audit import EntryView, entry_of

BROKEN = 1

_ANCHOR = re.compile(r"([0-9]{1,15}):([0-9a-f]{64})")

Anchor = Annotated[
    str, typer.Option(help="Head of an earlier day, as it was printed then", show_default=False)
]


class Verified(BaseModel):
    """What `audit verify` found, as JSON: the head, or the first entry that is not as it was."""

    entries: int | None = None
    head: str | None = None
    broken_at: int | None = None
    reason: str | None = None


def list_entries(
    *,
    after: Annotated[int, typer.Option(help="Number of the entry to go on after")] = 0,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List who did what, in order (with an admin key); as JSON one entry a line."""
    with connected(url, key, as_json=as_json) as client:
        if as_json:
            for entry in client.audit(after):
                show_json(entry)
            return
        rows = [_row(entry) for entry in client.audit(after)]
    show_table(("#", "at", "tenant", "actor", "action", "subject", "request"), rows)


def verify(
    *, anchor: Anchor = "", url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Check every entry; print the head to keep elsewhere, or exit with 1."""
    match = _ANCHOR.fullmatch(anchor)
    if anchor and match is None:
        show_error("--anchor is a number, a colon and 64 hexadecimal digits")
        raise typer.Exit(WRONG_USE)
    trusted = None if match is None else Head(int(match[1]), bytes.fromhex(match[2]))
    with connected(url, key, as_json=as_json) as client:
        found = checked(map(entry_of, client.audit()), anchor=trusted)
    if isinstance(found, Fault):
        if as_json:
            show_json(Verified(broken_at=found.seq, reason=found.reason))
        else:
            show_error(f"entry {found.seq}: {found.reason}")
        raise typer.Exit(BROKEN)
    if as_json:
        show_json(Verified(entries=found.seq, head=str(found)))
    else:
        typer.echo(f"{found.seq:,} entries, none changed; head: {found}")


def _row(entry: EntryView) -> tuple[object, ...]:
    at = f"{datetime.fromtimestamp(entry.at, UTC):%Y-%m-%d %H:%M:%S}"
    return (
        entry.seq,
        at,
        entry.tenant_id,
        entry.actor,
        entry.action,
        entry.subject,
        entry.request_id,
    )
