"""What one running service has for itself alone: its data folder and its port."""

import fcntl
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.errors import InvalidField

LOCK_FILE = "up.lock"


@contextmanager
def sole_user_of(data_dir: Path) -> Iterator[None]:
    """Keep the data folder, made where it is missing; raises InvalidField where another has it.

    The lock goes with the process, however that ends.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data_dir / LOCK_FILE).open("wb")
    except OSError as error:
        raise InvalidField("data-dir", f"{data_dir}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reason = f"another `muster up` is running on {data_dir}"
            raise InvalidField("data-dir", reason) from None
        yield


def usable_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0; raises InvalidField where it cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            found: int = probe.getsockname()[1]
    except OSError as error:
        reason = f"cannot listen on {host}:{port}: {error.strerror}"
        raise InvalidField("port", reason) from None
    return found
