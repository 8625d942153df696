"""`ChunkLedger`: a chunk is recorded once, its pre-labels only get newer."""

from dataclasses import replace

from cluster.domain.ids import JobId
from cluster.ports import Stores
from tests.conformance import samples

OTHER = JobId("job-0002")


def test_chunks_come_back_by_number(stores: Stores) -> None:
    stores.chunks.add([samples.chunk(2), samples.chunk(0)])
    stores.chunks.add([samples.chunk(1), samples.chunk(0, OTHER)])
    stores.chunks.add([])

    assert stores.chunks.chunks(samples.JOB) == tuple(map(samples.chunk, range(3)))
    assert stores.chunks.chunks(JobId("unknown")) == ()


def test_the_chunk_that_holds_an_item_is_found(stores: Stores) -> None:
    # Given two chunks, one of which is recorded later, and another job's
    first, second = samples.chunk(0), samples.chunk(1)
    stores.chunks.add([second])
    stores.chunks.add([first, replace(samples.chunk(2), job_id=OTHER)])

    # Then every item is in its chunk, and what there is not is in none
    for chunk in (first, second):
        for position in (chunk.positions[0], chunk.positions[-1]):
            assert stores.chunks.holding(samples.JOB, position) == chunk
    for missing in (-1, second.positions[-1] + 1, 10**12):
        assert stores.chunks.holding(samples.JOB, missing) is None
    assert stores.chunks.holding(JobId("unknown"), 0) is None


def test_recording_a_chunk_again_changes_nothing(stores: Stores) -> None:
    stores.chunks.add([samples.chunk(0)])

    stores.chunks.add(
        [replace(samples.chunk(0), rows=99, items_path="elsewhere"), samples.chunk(1)]
    )

    assert stores.chunks.chunks(samples.JOB) == (samples.chunk(0), samples.chunk(1))


def test_the_newest_predictions_are_returned_by_chunk(stores: Stores) -> None:
    stores.chunks.set_predicted([samples.prediction(1, 0), samples.prediction(0, 0)])
    stores.chunks.set_predicted([samples.prediction(1, 3), samples.prediction(0, 0, OTHER)])
    stores.chunks.set_predicted([])

    assert stores.chunks.predictions(samples.JOB) == (
        samples.prediction(0, 0),
        samples.prediction(1, 3),
    )


def test_an_older_version_never_replaces_a_newer_one(stores: Stores) -> None:
    stores.chunks.set_predicted([samples.prediction(0, 2)])

    stores.chunks.set_predicted([samples.prediction(0, 1), samples.prediction(1, 1)])

    assert stores.chunks.predictions(samples.JOB) == (
        samples.prediction(0, 2),
        samples.prediction(1, 1),
    )


def test_the_same_version_may_be_predicted_again(stores: Stores) -> None:
    again = replace(samples.prediction(0, 1), predictions_path="moved")
    stores.chunks.set_predicted([samples.prediction(0, 1)])

    stores.chunks.set_predicted([again])

    assert stores.chunks.predictions(samples.JOB) == (again,)
