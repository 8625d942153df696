"""`muster jobs`, `watch`, `pause`, `resume`, `amend`, `cancel` and `quota`."""

from typing import Annotated

import typer

from serve_apps.cli.follow import finish, follow
from serve_apps.cli.history import print_history
from serve_apps.cli.options import DEFAULT_URL, AsJson, Key, Url, checked, connected
from serve_apps.cli.output import show_job, show_json, show_table
from serve_apps.gateway.schemas.job_change import BudgetChange, JobChange
from serve_apps.gateway.schemas.jobs import JobPage, JobView
from serve_apps.gateway.schemas.quotas import Quota

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


def follow_history(
    job: JobArgument,
    *,
    after: Annotated[int, typer.Option(help="Number of the last event that is known", min=0)] = 0,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Print what happens to a job; the exit code is 1 where it does not complete."""
    with connected(url, key, as_json=as_json) as client:
        finish(print_history(client, job, after, as_json=as_json), as_json=as_json)


def quota(*, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Show what your tenant may have, and has."""
    with connected(url, key, as_json=as_json) as client:
        found = client.quota()
    if as_json:
        show_json(found)
        return
    lines = [(name, line) for name, line in found if isinstance(line, Quota)]
    show_table(
        ("quota", "used", "limit"),
        [(name, f"{line.used:,}", f"{line.limit:,}") for name, line in lines],
    )


def cancel(
    job: JobArgument, *, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Cancel a job; labels delivered until then stay."""
    with connected(url, key, as_json=as_json) as client:
        _show(client.cancel(job), as_json=as_json)


def pause(
    job: JobArgument, *, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Pause a job: nothing new is asked; what is out may be answered."""
    with connected(url, key, as_json=as_json) as client:
        _show(client.pause(job), as_json=as_json)


def resume(
    job: JobArgument, *, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Go on with a paused job."""
    with connected(url, key, as_json=as_json) as client:
        _show(client.resume(job), as_json=as_json)


def amend(
    job: JobArgument,
    *,
    weight: Annotated[float | None, typer.Option(help="Share of the crowd")] = None,
    budget: Annotated[int | None, typer.Option(help="Answers that may be bought in all")] = None,
    cost_max: Annotated[float | None, typer.Option(help="Money that may be spent in all")] = None,
    deadline_s: Annotated[float | None, typer.Option(help="Seconds since submit")] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Change the weight or the budget of a job; what is not given stays."""
    limits = {"answers_max": budget, "cost_max": cost_max, "deadline_s": deadline_s}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    with checked():
        change = JobChange(weight=weight, budget=BudgetChange.model_validate(given))
    with connected(url, key, as_json=as_json) as client:
        _show(client.amend(job, change), as_json=as_json)


def _show(job: JobView, *, as_json: bool) -> None:
    if as_json:
        show_json(job)
    else:
        show_job(job)
