"""What the service believes of a job's items before their labels are final."""

from pathlib import PurePosixPath

from cluster import paths
from cluster.domain.jobs import Job
from cluster.errors import JobNotReady, ObjectMissing
from cluster.ports import ObjectStore
from serve_apps.gateway.handlers import bad_parameter
from serve_apps.gateway.pages import row_of
from serve_apps.gateway.schemas.results import ProvisionalPage, ProvisionalView
from serve_apps.gateway.services import Services
from serve_apps.gateway.tables import read_rows

_COLUMNS = ("position", "posterior", "answers")


def provisional_page(
    services: Services, job: Job, cursor: str | None, limit: int
) -> ProvisionalPage:
    """Return provisional labels by position.

    The first page takes the newest round of consensus and its cursor stays with that round, as
    long as it is kept. Raises JobNotReady before the first round.
    """
    objects = services.stores.objects
    round_number, first_row = _parse(cursor) if cursor else (_newest_round(objects, job), 0)
    path = paths.consensus(job.job_id, round_number)
    try:
        table = read_rows(objects, path, first_row, limit, list(_COLUMNS))
    except ObjectMissing:
        reason = "is of a round that is not kept any more: begin anew without one"
        raise bad_parameter("query", "cursor", reason) from None
    positions = table["position"].to_pylist()
    items = services.items.fetch(job.job_id, positions)
    names = job.spec.label_set.names
    labels = tuple(
        _view(item.item_id, names, posterior, answers)
        for item, posterior, answers in zip(
            items, table["posterior"].to_pylist(), table["answers"].to_pylist(), strict=True
        )
    )
    more = len(labels) == limit
    return ProvisionalPage(
        round=round_number,
        labels=labels,
        next_cursor=f"{round_number}-{first_row + limit}" if more else None,
    )


def _view(
    item_id: str, names: tuple[str, ...], posterior: list[float], answers: int
) -> ProvisionalView:
    probability = max(posterior)
    return ProvisionalView(
        item_id=item_id,
        label=names[posterior.index(probability)],
        probability=probability,
        answers=answers,
    )


def _newest_round(objects: ObjectStore, job: Job) -> int:
    folder = str(PurePosixPath(paths.consensus(job.job_id, 0)).parent)
    rounds = [int(PurePosixPath(path).stem) for path in objects.list(folder)]
    if not rounds:
        raise JobNotReady(job.job_id, job.state, "the first consensus")
    return max(rounds)


def _parse(cursor: str) -> tuple[int, int]:
    round_number, dash, row = cursor.partition("-")
    if not dash:
        raise bad_parameter("query", "cursor", "is not a cursor of this list")
    return row_of(round_number), row_of(row)
