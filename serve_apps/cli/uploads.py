"""`muster uploads`: what the tenant has uploaded."""

from typing import Annotated

import typer

from serve_apps.cli.options import DEFAULT_URL, AsJson, Key, Url, connected
from serve_apps.cli.output import show_json, show_table
from serve_apps.gateway.schemas.uploads import ListedUpload, UploadPage


def list_uploads(*, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """List your uploads, newest first."""
    with connected(url, key, as_json=as_json) as client:
        found = tuple(client.uploads())
    if as_json:
        show_json(UploadPage(uploads=found, next_cursor=None))
    else:
        _show(found)


def remove_upload(
    upload: Annotated[str, typer.Argument(help="Id of the upload")],
    *,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Delete an upload; a job that has still to read it will fail."""
    with connected(url, key, as_json=False) as client:
        client.remove_upload(upload)


def _show(found: tuple[ListedUpload, ...]) -> None:
    show_table(
        ("id", "bytes", "arrived", "uploaded", "deleted unless whole by"),
        [
            (
                each.id,
                f"{each.length_bytes:,}",
                f"{each.size_bytes:,}",
                f"{each.created_at:%Y-%m-%d %H:%M:%S}",
                None if each.expires_at is None else f"{each.expires_at:%Y-%m-%d %H:%M:%S}",
            )
            for each in found
        ],
    )
