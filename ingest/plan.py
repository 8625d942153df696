"""How accepted items are cut into chunks: the same way every time."""

from collections.abc import Iterable, Iterator

from ingest.rows import Candidate


def plan_chunks(
    items: Iterable[Candidate], rows_max: int, bytes_max: int
) -> Iterator[tuple[Candidate, ...]]:
    """Yield runs of items in order, each as long as its rows and bytes of content allow.

    An item that is over `bytes_max` by itself makes a chunk of one.
    """
    run: list[Candidate] = []
    size = 0
    for item in items:
        if run and (len(run) == rows_max or size + item.size > bytes_max):
            yield tuple(run)
            run, size = [], 0
        run.append(item)
        size += item.size
    if run:
        yield tuple(run)
