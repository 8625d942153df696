"""`muster results`: labels as they become final, or the finished data set."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from cluster.errors import InvalidField
from serve_apps.cli.follow import LOOK_EVERY_S, follow
from serve_apps.cli.jobs import JobArgument
from serve_apps.cli.options import DEFAULT_URL, AsJson, Key, Url, checked, connected
from serve_apps.cli.output import show_json
from serve_apps.client import MusterClient
from serve_apps.gateway.schemas.base import Outgoing
from serve_apps.gateway.schemas.formats import Format


class Delivered(Outgoing):
    """What `--json` prints after the labels: where they went, and how many for JSON Lines."""

    job_id: str
    file: str | None
    rows: int | None


def results(
    job: JobArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write [default: stdout]")
    ] = None,
    *,
    file_format: Annotated[
        Format, typer.Option("--format", help="All but jsonl need -o and a completed job")
    ] = "jsonl",
    wait_for_more: Annotated[
        bool, typer.Option("--follow", help="Go on until the job has ended")
    ] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Print final labels as JSON Lines, also while the job runs.

    A label with a higher revision corrects earlier ones of its item. CSV, Parquet and Arrow are
    there once the job has completed, and have every item once.
    """
    with checked():
        if file_format != "jsonl" and output is None:
            raise InvalidField("output", f"{file_format} is not for the terminal; give -o FILE")
    rows: int | None = None
    with connected(url, key, as_json=as_json) as client:
        if file_format == "jsonl" or output is None:
            rows = _write_lines(client, job, output, follow_job=wait_for_more)
        else:
            if wait_for_more:
                follow(client, job)
            client.export(job, output, file_format)
    if as_json:
        file = None if output is None else str(output)
        show_json(Delivered(job_id=job, file=file, rows=rows))


def _write_lines(
    client: MusterClient, job_id: str, output: Path | None, *, follow_job: bool
) -> int:
    rows = 0
    with _stream(output) as stream:
        for result in client.results(job_id, follow_every_s=LOOK_EVERY_S if follow_job else None):
            stream.write(result.model_dump_json() + "\n")
            rows += 1
    return rows


@contextmanager
def _stream(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    with output.open("w") as file:
        yield file
