"""Following a job with progress bars until it ends."""

import time
from collections.abc import Callable, Mapping

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed

from cluster.domain.jobs import JobState
from serve_apps.cli.options import JOB_FAILED
from serve_apps.cli.output import show_job, show_json
from serve_apps.client import MusterClient
from serve_apps.gateway.schemas.jobs import JobView

LOOK_EVERY_S = 1.0


def follow(
    client: MusterClient, job_id: str, wait: Callable[[float], None] = time.sleep
) -> JobView:
    """Show a job's progress on stderr, looking every second, and return it once it has ended."""
    with _bars() as bars:
        tasks = {title: bars.add_task(title, total=None, note="") for title in _SHARES}
        while True:
            job = client.job(job_id)
            _update(bars, tasks, job)
            if job.state.is_terminal:
                return job
            wait(LOOK_EVERY_S)


def finish(job: JobView, *, as_json: bool) -> None:
    """Print how a job ended; ends the command with an exit code where it did not complete."""
    if as_json:
        show_json(job)
    else:
        show_job(job)
    if job.state is not JobState.COMPLETED:
        raise typer.Exit(JOB_FAILED)


_SHARES: Mapping[str, Callable[[JobView], int]] = {
    "pre-labelled": lambda job: job.progress.prelabelled,
    "asked": lambda job: job.progress.asked,
    "final": lambda job: job.progress.final,
}


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description:>12}"),
        BarColumn(),
        MofNCompleteColumn(),
        Elapsed(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
    )


def _update(bars: Progress, tasks: dict[str, TaskID], job: JobView) -> None:
    progress = job.progress
    notes = {
        "pre-labelled": job.state.value,
        "asked": f"{progress.answers:,} answers, cost {progress.cost:,.2f}",
        "final": ", ".join(
            f"{what} {value:.3f}"
            for what, value in (
                ("expected accuracy", progress.expected_accuracy),
                ("certificate can reach about", progress.reachable_accuracy),
            )
            if value is not None
        ),
    }
    for title, task in tasks.items():
        done = _SHARES[title](job)
        bars.update(task, completed=done, total=progress.items or None, note=notes[title])
