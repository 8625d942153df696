"""Log lines say what they are about, and hold what a machine can read."""

import json
import logging
from collections.abc import Iterator

import pytest

from cluster.logs import PACKAGES, JsonLines, TextLines, bound, set_up_logs


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("cluster.x", logging.WARNING, "x.py", 1, message, args, None)


@pytest.fixture
def loggers() -> Iterator[None]:
    """The loggers of the packages, put back as they were."""
    found = [logging.getLogger(name) for name in PACKAGES]
    before = [(each.handlers[:], each.level, each.propagate) for each in found]
    yield
    for logger, (handlers, level, propagate) in zip(found, before, strict=True):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_a_line_of_json_has_the_ids_of_what_it_is_about() -> None:
    with bound(request_id="r1"):
        with bound(job_id="job-1", chunk=3):
            line = json.loads(JsonLines().format(record("%s is\nlost", "it")))
        outer = json.loads(JsonLines().format(record("x")))
    at = line.pop("at")
    assert at.endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "logger": "cluster.x",
        "message": "it is\nlost",
        "request_id": "r1",
        "job_id": "job-1",
        "chunk": 3,
    }
    assert "job_id" not in outer
    assert "request_id" not in json.loads(JsonLines().format(record("x")))


def test_a_traceback_stays_on_its_line() -> None:
    try:
        raise ZeroDivisionError("none")
    except ZeroDivisionError as error:
        broken = record("x")
        broken.exc_info = (type(error), error, error.__traceback__)
    text = JsonLines().format(broken)
    assert "\n" not in text
    assert "ZeroDivisionError: none" in json.loads(text)["traceback"]


def test_a_line_of_text_has_the_ids_behind_it() -> None:
    with bound(job_id="job-1"):
        assert TextLines().format(record("lost")).endswith("cluster.x: lost [job_id=job-1]")
    assert TextLines().format(record("lost")).endswith("cluster.x: lost")


def test_lines_of_our_packages_come_once_however_often_it_is_set_up(
    loggers: None, capfd: pytest.CaptureFixture[str]
) -> None:
    del loggers
    for _ in range(2):
        set_up_logs(level="INFO", as_json=True)
    logging.getLogger("serve_apps.jobs.actor").info("started")
    logging.getLogger("serve_apps.jobs.actor").debug("not told")
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "started"
