"""`muster up`: serve until stopped."""

import json
import os
import secrets
import signal
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.console import Console

from cluster.clock import SystemClock
from cluster.domain.ids import TenantId
from cluster.settings import Settings, unknown_variables
from cluster.stores.opened import open_stores
from serve_apps.gateway.keys import MintedKey, ensure_development_keys

DEVELOPMENT_TENANT = TenantId("dev")
KEYS_FILE = "keys.json"


def up(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the database and the objects.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port of the API.")] = None,
) -> None:
    """Start Muster on this machine and serve until stopped (Ctrl-C or SIGTERM)."""
    from cluster.runtime import join_ray, leave_ray  # noqa: PLC0415 - Ray takes seconds to import
    from serve_apps.app import start_service  # noqa: PLC0415

    unknown = unknown_variables(os.environ)
    if unknown:
        raise typer.BadParameter(f"no setting is called {', '.join(unknown)}")
    settings = _settings(data_dir, port)
    console = Console()
    stopped = _stop_event()
    keys_file = _development_keys(settings)
    with console.status("starting Ray, replicas and gateways"):
        join_ray(settings.ray)
        service = start_service(settings)
    console.print(f"Muster serves at http://{settings.http.host}:{settings.http.port}")
    console.print(f"development keys: {keys_file}")
    stopped.wait()
    with console.status("stopping"):
        service.stop()
        leave_ray()


def _settings(data_dir: Path | None, port: int | None) -> Settings:
    settings = Settings()
    changes: dict[str, object] = {}
    if data_dir is not None:
        changes["data_dir"] = data_dir
    if port is not None:
        changes["http"] = settings.http.model_copy(update={"port": port})
    chosen = settings.model_copy(update=changes)
    return chosen.model_copy(update={"data_dir": chosen.data_dir.absolute()})


def _stop_event() -> Event:
    """Return an event that is set when this process is asked to end."""
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


def _development_keys(settings: Settings) -> Path:
    """Make the development keys at the first start and keep them for their owner's eyes only."""
    keys = open_stores(settings).keys
    made = ensure_development_keys(
        keys, DEVELOPMENT_TENANT, SystemClock().now(), secrets.token_bytes
    )
    path = settings.data_dir / KEYS_FILE
    if made:
        _write_private(path, made)
    return path


def _write_private(path: Path, made: tuple[MintedKey, ...]) -> None:
    texts = {key.record.role: key.text for key in made}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(texts, file, indent=2)
