"""Printing what happens to a job as it happens."""

from datetime import timedelta

from rich.console import Console

from serve_apps.cli.output import show_json
from serve_apps.client import MusterClient
from serve_apps.gateway.schemas.jobs import EventView, JobView
from serve_apps.gateway.schemas.streams import ProgressEvent


def print_history(client: MusterClient, job_id: str, after: int, *, as_json: bool) -> JobView:
    """Print a job's events after a number, a line each, until it has ended; return it then.

    On stderr stands how it is just now. As JSON the lines are the events, as the API has them.
    """
    with Console(stderr=True).status("") as status:
        for happening in client.follow(job_id, after):
            match happening:
                case EventView() if as_json:
                    show_json(happening)
                case EventView(at=at, kind=kind, message=message):
                    line = f"{at:%H:%M:%S} {kind:<20} {message}"
                    Console().print(line, markup=False, highlight=False, soft_wrap=True)
                case ProgressEvent():
                    status.update(_standing(happening))
                case JobView():
                    return happening
    raise RuntimeError("a stream ends with its job, or with an error")


def _standing(now: ProgressEvent) -> str:
    eta = "" if now.eta_s is None else f", done in {timedelta(seconds=round(now.eta_s))}"
    paused = ", paused" if now.paused else ""
    answers = f"{now.progress.answers:,} answers, cost {now.cost:,.2f}"
    return f"{now.state}{paused}{eta}; {answers}, {now.progress.final:,} labels final"
