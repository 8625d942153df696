"""What a model replica tells its operators of chunks and online requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

from cluster.errors import MusterError
from cluster.telemetry import catalogue as told
from cluster.telemetry.port import Telemetry


class ReplicaMeter:
    """Times what one replica does, and counts what it fails on."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    @contextmanager
    def timed(self, kind: Literal["chunk", "online"], rows: int) -> Iterator[None]:
        """Time what is done within; what fails is counted by its class and not timed."""
        started_at = perf_counter()
        try:
            yield
        except MusterError as error:
            self._telemetry.count(told.PRELABEL_ERRORS, kind=kind, error=type(error).__name__)
            raise
        self._telemetry.observe(told.PRELABEL_SECONDS, perf_counter() - started_at, kind=kind)
        self._telemetry.observe(told.PRELABEL_ROWS, rows, kind=kind)
