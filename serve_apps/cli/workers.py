"""`muster workers`: who is in the crowd."""

from datetime import datetime
from typing import Annotated

import typer

from cluster.domain.work import WorkerKind
from serve_apps.cli.options import DEFAULT_URL, AsJson, Key, Url, checked, connected
from serve_apps.cli.output import show_json, show_table
from serve_apps.gateway.schemas.work import WorkerPage, WorkerRequest, WorkerView


def list_workers(*, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """List your workers; with an admin key, all."""
    with connected(url, key, as_json=as_json) as client:
        found = tuple(client.workers())
    if as_json:
        show_json(WorkerPage(workers=found, next_cursor=None))
    else:
        _show(found)


def show_worker(
    worker: Annotated[str, typer.Argument(help="Id of the worker")],
    *,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Show a worker, and what it has answered and earned so far."""
    with connected(url, key, as_json=as_json) as client:
        found = client.worker(worker)
    if as_json:
        show_json(found)
    else:
        _show((found,))
        totals = found.totals
        show_table(
            ("answers", "earned", "first answer", "last answer"),
            [
                (
                    f"{totals.answers:,}",
                    f"{totals.earned:,.2f}",
                    _when(totals.first_answered_at),
                    _when(totals.last_answered_at),
                )
            ],
        )


def register_worker(
    name: Annotated[str, typer.Argument(help="Name of the worker")],
    *,
    kind: Annotated[WorkerKind, typer.Option(help="What the worker is")] = "human",
    skill: Annotated[list[str] | None, typer.Option(help="A skill the worker has")] = None,
    price: Annotated[float, typer.Option(help="Price of one answer")] = 0.0,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Register a worker that this key may act for."""
    with checked():
        request = WorkerRequest(name=name, kind=kind, skills=skill or [], price=price)
    with connected(url, key, as_json=as_json) as client:
        worker = client.register_worker(request)
    if as_json:
        show_json(worker)
    else:
        _show((worker,))


def _show(found: tuple[WorkerView, ...]) -> None:
    show_table(
        ("id", "name", "kind", "skills", "price", "paused"),
        [
            (each.id, each.name, each.kind, ", ".join(each.skills), each.price, each.paused)
            for each in found
        ],
    )


def _when(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
