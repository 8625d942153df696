"""Log lines with ids: which request, job and chunk a line is about, for people or for machines."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

PACKAGES = ("allocation", "cluster", "ingest", "serve_apps", "training")
"""Whose lines are formatted here; libraries keep their own."""

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

_bound: ContextVar[Mapping[str, str | int]] = ContextVar("ids of log lines", default={})  # noqa: B039 - never changed in place


@contextmanager
def bound(**ids: str | int) -> Iterator[None]:
    """Put ids on every line that is logged within, here and in what is awaited or called."""
    token = _bound.set({**_bound.get(), **ids})
    try:
        yield
    finally:
        _bound.reset(token)


def set_up_logs(*, level: Level, as_json: bool) -> None:
    """Send lines of this project's packages to this process's stderr; again changes nothing."""
    for name in PACKAGES:
        logger = logging.getLogger(name)
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines() if as_json else TextLines())
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False


class JsonLines(logging.Formatter):
    """One JSON object a line: `at`, `level`, `logger`, `message`, the ids, and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_bound.get(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """One line of text, the ids behind it; a traceback on lines below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return a record's own line."""
        ids = " ".join(f"{name}={value}" for name, value in _bound.get().items())
        return f"{super().formatMessage(record)} [{ids}]" if ids else super().formatMessage(record)
