"""`muster assign`: questions of a job for many workers at once."""

from typing import Annotated

import typer

from cluster.errors import InvalidField
from serve_apps.cli.jobs import JobArgument
from serve_apps.cli.options import DEFAULT_URL, AsJson, Key, Url, checked, connected
from serve_apps.cli.output import show_json, show_table
from serve_apps.gateway.schemas.assignments import AssignmentList, AssignmentRequest, SeatBody


def assign(
    job: JobArgument,
    workers: Annotated[
        list[str], typer.Argument(metavar="WORKER[=COUNT]...", help="Ids, with room of their own")
    ],
    *,
    count: Annotated[int, typer.Option(help="Questions for each worker at most")] = 10,
    wait_price_per_hour: Annotated[
        float, typer.Option(help="Money an answer loses an hour until it is there")
    ] = 0.0,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Lease questions of a job to many workers at once, each to whom it suits best."""
    with checked():
        seats = [_seat(told, count) for told in workers]
        request = AssignmentRequest(workers=seats, wait_price_per_hour=wait_price_per_hour)
    with connected(url, key, as_json=as_json) as client:
        made = client.assign(job, request)
    if as_json:
        show_json(AssignmentList(assignments=made))
        return
    show_table(
        ("worker", "leases", "until"),
        [
            (
                each.worker_id,
                len(each.leases),
                max((f"{lease.expires_at:%H:%M:%S}" for lease in each.leases), default=None),
            )
            for each in made
        ],
    )


def _seat(told: str, count: int) -> SeatBody:
    worker_id, given, number = told.partition("=")
    if given and not (number.isascii() and number.isdecimal()):
        raise InvalidField("workers", f"{told} is not WORKER or WORKER=COUNT")
    return SeatBody(worker_id=worker_id, count=int(number) if given else count)
