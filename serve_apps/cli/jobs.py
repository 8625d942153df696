"""`muster jobs`, `watch` and `cancel`."""

from typing import Annotated

import typer

from serve_apps.cli.follow import finish, follow
from serve_apps.cli.options import DEFAULT_URL, AsJson, Key, Url, connected
from serve_apps.cli.output import show_job, show_json, show_table
from serve_apps.gateway.schemas.jobs import JobPage

JobArgument = Annotated[str, typer.Argument(help="Id of the job")]


def jobs(*, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """List your jobs, newest first."""
    with connected(url, key, as_json=as_json) as client:
        found = tuple(client.jobs())
    if as_json:
        show_json(JobPage(jobs=found, next_cursor=None))
        return
    show_table(
        ("id", "name", "state", "items", "final", "answers", "submitted"),
        [
            (
                job.id,
                job.name,
                job.state.value,
                job.progress.items,
                job.progress.final,
                job.progress.answers,
                f"{job.created_at:%Y-%m-%d %H:%M:%S}",
            )
            for job in found
        ],
    )


def watch(
    job: JobArgument, *, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Follow a job until it ends; the exit code is 1 where it fails or is cancelled."""
    with connected(url, key, as_json=as_json) as client:
        finish(follow(client, job), as_json=as_json)


def cancel(
    job: JobArgument, *, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Cancel a job; labels delivered until then stay."""
    with connected(url, key, as_json=as_json) as client:
        cancelled = client.cancel(job)
    if as_json:
        show_json(cancelled)
    else:
        show_job(cancelled)
