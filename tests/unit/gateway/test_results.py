"""Reading what a job has given: final labels, exports, rejected rows, provisional labels."""

from collections.abc import Sequence

import pyarrow as pa
import pytest

from cluster import paths
from cluster.domain.jobs import Job, JobState
from cluster.domain.results import ResultSegment
from serve_apps.gateway.tables import SEGMENTS_A_PAGE_MAX
from tests.unit.gateway.world import World, problem, store_chunk, write_table


def deliver(world: World, job: Job, sizes: Sequence[int]) -> list[str]:
    """Write result segments of these sizes and return all item ids in delivery order."""
    delivered: list[str] = []
    for number, rows in enumerate(sizes):
        first_row = len(delivered)
        positions = range(first_row, first_row + rows)
        store_segment(world, job, number, first_row, _columns(positions, "cat"))
        delivered += [f"i{position}" for position in positions]
    return delivered


def correct(world: World, job: Job, number: int, first_row: int, position: int) -> None:
    """Write a segment that corrects the label of one item."""
    columns = _columns(range(position, position + 1), "dog")
    columns["revision"] = pa.array([1], pa.int32())
    store_segment(world, job, number, first_row, columns)


def store_segment(
    world: World, job: Job, number: int, first_row: int, columns: dict[str, pa.Array]
) -> None:
    path, rows = paths.results(job.job_id, number), len(columns["position"])
    write_table(world.stores, path, columns, row_group_size=3)
    segment = ResultSegment(
        job_id=job.job_id, number=number, first_row=first_row, rows=rows, path=path
    )
    world.stores.results.append(segment)


def _columns(positions: range, label: str) -> dict[str, pa.Array]:
    """Return the columns of a segment as releases without corrections wrote them."""
    rows = len(positions)
    return {
        "position": pa.array(positions, pa.int64()),
        "item_id": pa.array([f"i{position}" for position in positions]),
        "label": pa.array([label] * rows),
        "probability": pa.array([0.75] * rows, pa.float32()),
        "decided_by": pa.array(["model+crowd"] * rows),
        "answers": pa.array([2] * rows, pa.int32()),
        "model_version": pa.array([1] * rows, pa.int32()),
        "audited": pa.array([False] * rows),
    }


def read_all(world: World, job: Job, limit: int) -> tuple[list[str], str | None]:
    """Read results until a page is empty; return the item ids and the last cursor."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        params: dict[str, str | int] = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = world.get(f"/v1/jobs/{job.job_id}/results", params=params).json()
        found += [result["item_id"] for result in page["results"]]
        cursor = page["next_cursor"]
        if cursor is None or not page["results"]:
            return found, cursor


@pytest.mark.parametrize("limit", [1, 4, 7, 100])
def test_results_are_read_in_order_and_once_at_any_page_size(world: World, limit: int) -> None:
    # Given a finished job with segments of several sizes and row groups
    job = world.submitted()
    delivered = deliver(world, job, [5, 1, 9, 7])
    world.moved(job, JobState.COMPLETED)
    # Then every page size gives each label once, in delivery order, and an end
    assert read_all(world, job, limit) == (delivered, None)


def test_results_are_read_while_the_job_runs(world: World) -> None:
    # Given a running job that has delivered some labels
    job = world.moved(world.submitted(), JobState.ASKING)
    early = deliver(world, job, [3])
    found, cursor = read_all(world, job, 2)
    # Then they are there, and the cursor waits for more
    assert (found, cursor) == (early, "3")
    result = world.get(f"/v1/jobs/{job.job_id}/results").json()["results"][0]
    assert result == {
        "item_id": "i0",
        "label": "cat",
        "probability": 0.75,
        "decided_by": "model+crowd",
        "answers": 2,
        "model_version": 1,
        "audited": False,
        "revision": 0,
        "difficulty": None,
        "model_failed": False,
    }


def test_a_result_tells_how_hard_its_item_is(world: World) -> None:
    # Given a job that delivered three labels with the difficulty of their items
    job = world.submitted()
    columns = _columns(range(3), "cat") | {"difficulty": pa.array(["simple", "medium", "hard"])}
    store_segment(world, job, 0, 0, columns)
    # Then a reader is told
    results = world.get(f"/v1/jobs/{job.job_id}/results").json()["results"]
    assert [found["difficulty"] for found in results] == ["simple", "medium", "hard"]


def test_a_correction_is_read_where_it_was_delivered(world: World) -> None:
    # Given a job that corrected the second of its three labels
    job = world.submitted()
    deliver(world, job, [3])
    correct(world, job, number=1, first_row=3, position=1)
    # Then a reader has all labels in delivery order, the correction last
    results = world.get(f"/v1/jobs/{job.job_id}/results").json()["results"]
    assert [(found["item_id"], found["label"], found["revision"]) for found in results] == [
        ("i0", "cat", 0),
        ("i1", "cat", 0),
        ("i2", "cat", 0),
        ("i1", "dog", 1),
    ]


def test_many_small_segments_make_a_short_page_and_lose_nothing(world: World) -> None:
    job = world.submitted()
    delivered = deliver(world, job, [1] * (SEGMENTS_A_PAGE_MAX + 3))
    page = world.get(f"/v1/jobs/{job.job_id}/results").json()
    assert len(page["results"]) == SEGMENTS_A_PAGE_MAX
    assert read_all(world, job, 100)[0] == delivered


def test_a_cursor_beyond_the_end_finds_nothing(world: World) -> None:
    job = world.moved(world.submitted(), JobState.CANCELLED)
    page = world.get(f"/v1/jobs/{job.job_id}/results", params={"cursor": "999"}).json()
    assert page == {"results": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("suffix", "media_type"),
    [("jsonl", "application/jsonl"), ("parquet", "application/vnd.apache.parquet")],
)
def test_the_export_is_downloaded_whole(world: World, suffix: str, media_type: str) -> None:
    job = world.moved(world.submitted(), JobState.COMPLETED)
    content = bytes(range(256)) * 10_000
    world.stores.objects.write(paths.export(job.job_id, suffix), content)
    response = world.get(f"/v1/jobs/{job.job_id}/export", params={"format": suffix})
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert response.headers["content-disposition"] == (
        f'attachment; filename="{job.job_id}.{suffix}"'
    )
    assert response.content == content


@pytest.mark.parametrize("state", [JobState.ASKING, JobState.EXPORTING, JobState.CANCELLED])
def test_there_is_no_export_of_an_unfinished_job(world: World, state: JobState) -> None:
    job = world.moved(world.submitted(), state)
    found = problem(world.get(f"/v1/jobs/{job.job_id}/export"), 409, "job-not-ready")
    assert found.detail == f"job {job.job_id} is {state}; the export is not there yet"


def test_a_lost_export_is_a_fault_without_its_path(world: World) -> None:
    job = world.moved(world.submitted(), JobState.COMPLETED)
    found = problem(world.get(f"/v1/jobs/{job.job_id}/export"), 500, "object-missing")
    assert "labels.jsonl" not in found.detail


def test_rejected_rows_are_downloaded(world: World) -> None:
    job = world.moved(world.submitted(), JobState.PRELABELLING)
    content = b'{"line":2,"field":"text","code":"field-missing"}\n'
    world.stores.objects.write(paths.errors(job.job_id), content)
    assert world.get(f"/v1/jobs/{job.job_id}/errors").content == content


def test_the_error_file_is_not_ready_before_the_ingest_and_empty_without_errors(
    world: World,
) -> None:
    job = world.submitted()
    problem(world.get(f"/v1/jobs/{job.job_id}/errors"), 409, "job-not-ready")
    world.moved(job, JobState.PRELABELLING)
    response = world.get(f"/v1/jobs/{job.job_id}/errors")
    assert (response.status_code, response.content) == (200, b"")


def store_consensus(world: World, job: Job, round_number: int, posterior: list[float]) -> None:
    write_table(
        world.stores,
        paths.consensus(job.job_id, round_number),
        {
            "position": pa.array(range(5), pa.int64()),
            "posterior": pa.array([posterior] * 5, pa.list_(pa.float32(), 3)),
            "answers": pa.array([round_number] * 5, pa.int32()),
        },
    )


def test_provisional_labels_come_from_the_newest_round_and_stay_with_it(world: World) -> None:
    # Given a job with two rounds of consensus
    job = world.submitted()
    store_chunk(world.stores, job.job_id, [f"text {number}" for number in range(5)])
    store_consensus(world, job, 1, [0.5, 0.25, 0.25])
    store_consensus(world, job, 2, [0.125, 0.75, 0.125])
    # When the first page is read, then a third round is stored, then the rest is read
    url = f"/v1/jobs/{job.job_id}/labels"
    first = world.get(url, params={"limit": 3}).json()
    store_consensus(world, job, 3, [0.0, 0.0, 1.0])
    rest = world.get(url, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    # Then both pages tell of the second round
    assert (first["round"], rest["round"], rest["next_cursor"]) == (2, 2, None)
    assert [label["item_id"] for label in first["labels"] + rest["labels"]] == [
        f"i{number}" for number in range(5)
    ]
    assert first["labels"][0] == {
        "item_id": "i0",
        "label": "dog",
        "probability": 0.75,
        "answers": 2,
    }
    # And a new listing of the third
    assert world.get(url).json()["labels"][0]["label"] == "owl"


def test_a_cursor_into_a_round_that_is_not_kept_is_refused(world: World) -> None:
    # Given a client who has read the first page of a round that is deleted then
    job = world.submitted()
    store_chunk(world.stores, job.job_id, [f"text {number}" for number in range(5)])
    store_consensus(world, job, 1, [0.5, 0.25, 0.25])
    url = f"/v1/jobs/{job.job_id}/labels"
    first = world.get(url, params={"limit": 3}).json()
    world.stores.objects.delete(paths.consensus(job.job_id, 1))

    # When it reads on, then it is told to begin anew
    reply = world.get(url, params={"limit": 3, "cursor": first["next_cursor"]})
    assert reply.status_code == 422
    assert "begin anew" in reply.text


def test_there_are_no_provisional_labels_before_the_first_round(world: World) -> None:
    job = world.submitted()

    reply = world.get(f"/v1/jobs/{job.job_id}/labels")

    assert "consensus" in problem(reply, 409, "job-not-ready").detail
