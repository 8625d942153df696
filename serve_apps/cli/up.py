"""`muster up`: serve until stopped."""

import json
import os
import secrets
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cluster.clock import SystemClock
from cluster.domain.ids import TenantId
from cluster.settings import Settings, environment_settings
from cluster.stores.opened import open_stores
from serve_apps.cli.exclusive import sole_user_of, usable_port
from serve_apps.cli.options import checked
from serve_apps.cli.orphans import none_left_behind
from serve_apps.cli.stopping import StopRequest
from serve_apps.gateway.keys import MintedKey, ensure_development_keys

DEVELOPMENT_TENANT = TenantId("dev")
KEYS_FILE = "keys.json"


def up(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the database and the objects.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port of the API; 0 for any free one.")
    ] = None,
) -> None:
    """Start Muster on this machine and serve until stopped.

    Ctrl-C or SIGTERM stop it: requests under way are answered, and jobs go on at the next start.
    """
    stop = StopRequest()
    stop.heed()
    with suppress(KeyboardInterrupt), ExitStack() as held:
        with checked():
            settings = _settings(data_dir, port)
            held.enter_context(sole_user_of(settings.data_dir))
            settings = _at_port(settings, usable_port(settings.http.host, settings.http.port))
        held.enter_context(none_left_behind())
        _serve(settings, stop)


def _serve(settings: Settings, stop: StopRequest) -> None:
    """Start everything, tell where it is, wait to be stopped, and leave nothing running."""
    from cluster.runtime import joined_ray  # noqa: PLC0415 - Ray takes seconds to import
    from serve_apps.app import start_service  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    made = _development_keys(settings)
    with ExitStack() as running:
        with console.status("starting Ray, replicas and gateways"):
            running.enter_context(joined_ray(settings.ray))
            stop.heed()
            service = start_service(settings)
            running.callback(service.stop)
        _announce(console, settings, made)
        stop.wait()


def _announce(console: Console, settings: Settings, made: tuple[MintedKey, ...]) -> None:
    """Tell the address and where the keys are; the keys themselves where they are new."""
    console.print(f"Muster serves at http://{settings.http.host}:{settings.http.port}")
    console.print(f"development keys: {settings.data_dir / KEYS_FILE}")
    for key in made:
        console.print(f"  {key.record.role:6} {key.text}")


def _settings(data_dir: Path | None, port: int | None) -> Settings:
    """Return the settings of the environment and the options; raises InvalidField for others."""
    settings = environment_settings()
    chosen = settings.data_dir if data_dir is None else data_dir
    settings = settings.model_copy(update={"data_dir": chosen.absolute()})
    return settings if port is None else _at_port(settings, port)


def _at_port(settings: Settings, port: int) -> Settings:
    return settings.model_copy(update={"http": settings.http.model_copy(update={"port": port})})


def _development_keys(settings: Settings) -> tuple[MintedKey, ...]:
    """Make the development keys at the first start and keep them for their owner's eyes only."""
    keys = open_stores(settings).keys
    made = ensure_development_keys(
        keys, DEVELOPMENT_TENANT, SystemClock().now(), secrets.token_bytes
    )
    if made:
        _write_private(settings.data_dir / KEYS_FILE, made)
    return made


def _write_private(path: Path, made: tuple[MintedKey, ...]) -> None:
    texts = {key.record.role: key.text for key in made}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(texts, file, indent=2)
