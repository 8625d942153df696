"""Secrets that every process of a deployment shares: what signs leases, what seals secrets."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from cluster.settings import Settings

_SECRET_BYTES = 32


def lease_secret(settings: Settings) -> bytes:
    """Return the configured secret, or the random 256-bit one kept in `data_dir`.

    The first caller makes the latter, readable by its user alone; callers that race all return
    the same.
    """
    if settings.lease_secret:
        return settings.lease_secret.encode()
    return _kept(settings.data_dir / "lease.secret")


def encryption_keys(settings: Settings) -> tuple[bytes, ...]:
    """Return the configured keys, the first seals, or the random one kept in `data_dir`.

    The latter is made as the lease secret is.
    """
    if settings.encryption_keys:
        return tuple(key.encode() for key in settings.encryption_keys)
    return (_kept(settings.data_dir / "encryption.key"),)


def _kept(path: Path) -> bytes:
    if not path.exists():
        _make(path)
    return path.read_bytes()


def _make(path: Path) -> None:
    """Link a finished file to its name, which succeeds for one process only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".secret-") as file:  # mode 0600
        file.write(secrets.token_bytes(_SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            Path(path).hardlink_to(file.name)
