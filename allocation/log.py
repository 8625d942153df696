"""Reading a job's answers back, whole."""

from collections.abc import Sequence

import numpy as np

from cluster.domain.ids import JobId
from cluster.domain.work import AnswerColumns
from cluster.ports import AnswerLog

_PAGE_ANSWERS = 200_000


def read_all(
    log: AnswerLog, job_id: JobId, after_seq: int, *, page_answers: int = _PAGE_ANSWERS
) -> AnswerColumns:
    """Return every answer of a job numbered above `after_seq`, in log order."""
    pages: list[AnswerColumns] = []
    while True:
        page = log.read(job_id, after_seq, page_answers)
        pages.append(page)
        if len(page) < page_answers:
            return joined(pages)
        after_seq = int(page.seq[-1])


def joined(pages: Sequence[AnswerColumns]) -> AnswerColumns:
    """Return pages as one run of columns, their workers numbered anew; at least one page."""
    if len(pages) == 1:
        return pages[0]
    worker_ids = tuple(dict.fromkeys(found for page in pages for found in page.worker_ids))
    number = {worker_id: at for at, worker_id in enumerate(worker_ids)}
    workers = [
        np.array([number[found] for found in page.worker_ids], dtype=np.int32)[page.workers]
        for page in pages
    ]
    return AnswerColumns(
        seq=np.concatenate([page.seq for page in pages]),
        positions=np.concatenate([page.positions for page in pages]),
        workers=np.concatenate(workers),
        labels=np.concatenate([page.labels for page in pages]),
        audit=np.concatenate([page.audit for page in pages]),
        prices=np.concatenate([page.prices for page in pages]),
        answered_at=np.concatenate([page.answered_at for page in pages]),
        durations_s=np.concatenate([page.durations_s for page in pages]),
        worker_ids=worker_ids,
    )
