"""What a job has given as files: whole, in part, after a break, and in every format."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cluster import paths
from cluster.domain.jobs import Job, JobState
from serve_apps.client import MusterClient, Retries
from serve_apps.gateway.formats import arrow_blocks, csv_blocks, parquet_batches
from serve_apps.gateway.result_pages import format_accepted
from tests.unit.gateway.cutting import cutting
from tests.unit.gateway.serving import serving
from tests.unit.gateway.test_results import deliver
from tests.unit.gateway.world import World, write_table

TEXTS = ["plain", "=1+1", "+1", "-1", "@x", "\tx", "\rx", 'a "b", c\nd', "'=1", "x=1", ""]
CONTENT = bytes(range(256)) * 10


def stored_export(world: World, content: bytes = CONTENT) -> Job:
    job = world.moved(world.submitted(), JobState.COMPLETED)
    world.stores.objects.write(paths.export(job.job_id, "jsonl"), content)
    return job


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=2000-", 2_000, 2_559),
        ("bytes=-1", 2_559, 2_559),
        ("bytes=-9999", 0, 2_559),
        ("bytes=2559-999999", 2_559, 2_559),
    ],
)
def test_a_part_of_an_export_is_downloaded(
    world: World, wanted: str, first: int, last: int
) -> None:
    url = f"/v1/jobs/{stored_export(world).job_id}/export"
    whole = world.get(url)
    assert (whole.headers["content-length"], whole.headers["accept-ranges"]) == ("2560", "bytes")
    headers = {"Range": wanted, "If-Range": whole.headers["etag"]}
    part = world.get(url, headers=headers)
    assert (part.status_code, part.content) == (206, CONTENT[first : last + 1])
    assert part.headers["content-range"] == f"bytes {first}-{last}/2560"
    assert part.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize("wanted", ["bytes=2560-", "bytes=-0"])
def test_a_part_that_is_not_there_is_refused(world: World, wanted: str) -> None:
    url = f"/v1/jobs/{stored_export(world).job_id}/export"
    refused = world.get(url, headers={"Range": wanted})
    assert (refused.status_code, refused.headers["content-range"]) == (416, "bytes */2560")
    assert refused.json()["status"] == 416


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=1-2", "If-Range": '"another"'},
        {"Range": "bytes=0-1,5-6"},
        {"Range": "bytes=" + ",".join("0-" for _ in range(1_000))},
        {"Range": "lines=1-2"},
        {"Range": "bytes=9-8"},
        {"Range": "bytes=-"},
        {"Range": "bytes=" + "9" * 400 + "-"},
    ],
)
def test_an_odd_range_gives_the_whole_file(world: World, headers: dict[str, str]) -> None:
    whole = world.get(f"/v1/jobs/{stored_export(world).job_id}/export", headers=headers)
    assert (whole.status_code, whole.content) == (200, CONTENT)


DOORS = ("export", "export?format=parquet", "errors", "file")


def door_of(world: World, name: str) -> str:
    """Return a path at which the same file is to be had."""
    if name == "file":
        form = {"file": ("items.jsonl", CONTENT)}
        sent: dict[str, Any] = {"data": {"purpose": "batch"}, "files": form}
        stored = world.call("POST", "/openai/v1/files", "client", **sent).json()
        return f"/openai/v1/files/{stored['id']}/content"
    job = stored_export(world)
    world.stores.objects.write(paths.export(job.job_id, "parquet"), CONTENT)
    world.stores.objects.write(paths.errors(job.job_id), CONTENT)
    return f"/v1/jobs/{job.job_id}/{name}"


@pytest.mark.parametrize("name", DOORS)
def test_who_has_a_file_is_not_sent_it_again(world: World, name: str) -> None:
    # Given somebody who has downloaded a file
    url = door_of(world, name)
    etag = world.get(url).headers["etag"]
    # When it is asked for if it is another one by now, then it is not sent, nor is a part of it
    for asked in ({"If-None-Match": f'"old", W/{etag}'}, {"If-None-Match": "*"}):
        for more in ({}, {"Range": "bytes=0-9"}):
            kept = world.get(url, headers={**asked, **more})
            assert (kept.status_code, kept.headers["etag"], kept.content) == (304, etag, b"")
    changed = world.get(url, headers={"If-None-Match": '"old"'})
    assert (changed.status_code, changed.content) == (200, CONTENT)


@pytest.mark.parametrize("name", DOORS)
def test_a_file_is_told_of_without_its_bytes(world: World, name: str) -> None:
    # Given a file, as tools look at it before they read parts of it
    url = door_of(world, name)
    whole = world.get(url)
    told = world.call("HEAD", url, "client", headers={"Range": "bytes=5-9"})
    # Then they learn its length, its version and that it can be had by parts
    assert (told.status_code, told.content) == (200, b"")
    for header in ("content-length", "content-type", "etag", "accept-ranges"):
        assert told.headers[header] == whole.headers[header]


@pytest.mark.parametrize("file_format", ["csv", "arrow"])
def test_a_file_that_is_made_while_it_is_sent_has_a_head_too(
    world: World, file_format: str
) -> None:
    job = world.moved(world.submitted(), JobState.COMPLETED)
    write_table(world.stores, paths.export(job.job_id, "parquet"), {"item_id": pa.array(TEXTS)})
    url = f"/v1/jobs/{job.job_id}/export?format={file_format}"
    told, whole = world.call("HEAD", url, "client"), world.get(url)
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["content-type"] == whole.headers["content-type"]
    assert "content-length" not in told.headers


@pytest.mark.parametrize(("suffix", "resumed"), [("jsonl", True), ("arrow", False)])
def test_a_broken_download_is_completed(
    world: World, tmp_path: Path, suffix: Any, *, resumed: bool
) -> None:
    # Given a large export, and a network that cuts the connection after some 2 MB
    job = stored_export(world, CONTENT * 2_000)
    ids = pa.array([f"item {number:020d}" for number in range(200_000)])
    write_table(world.stores, paths.export(job.job_id, "parquet"), {"item_id": ids})
    file = tmp_path / f"labels.{suffix}"
    with (
        serving(world.http.app) as url,
        cutting(url, down_bytes=2_000_000) as through,
        MusterClient(through, world.key("client"), retries=Retries(first_wait_s=0.01)) as client,
    ):
        # When the client saves it
        client.export(job.job_id, file, suffix)
    # Then the file is whole, and nothing else is left
    if resumed:
        assert file.read_bytes() == CONTENT * 2_000
    else:
        assert pa.ipc.open_stream(file.read_bytes()).read_all()["item_id"].combine_chunks() == ids
    assert [path.name for path in tmp_path.glob("*labels*")] == [file.name]


def test_an_export_is_made_into_csv_that_runs_nothing(world: World) -> None:
    # Given a finished job whose item ids are formulas
    job = world.moved(world.submitted(), JobState.COMPLETED)
    columns = {"item_id": pa.array(TEXTS), "probability": pa.array([-0.5] * len(TEXTS))}
    write_table(world.stores, paths.export(job.job_id, "parquet"), columns, row_group_size=2)
    # When it is downloaded as CSV
    response = world.get(f"/v1/jobs/{job.job_id}/export", params={"format": "csv"})
    # Then it has a header and each row, numbers as they are, and no text begins as a formula does
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    rows = list(csv.reader(io.StringIO(response.text, newline="")))
    assert rows[0] == ["item_id", "probability"]
    risky = ("=", "+", "-", "@", "\t", "\r")
    expected = [f"'{text}" if text.startswith(risky) else text for text in TEXTS]
    assert [row[0] for row in rows[1:]] == expected
    assert {row[1] for row in rows[1:]} == {"-0.5"}


def test_an_export_is_made_into_an_arrow_stream(world: World) -> None:
    job = world.moved(world.submitted(), JobState.COMPLETED)
    columns = {"item_id": pa.array(TEXTS), "answers": pa.array(range(len(TEXTS)), pa.int32())}
    write_table(world.stores, paths.export(job.job_id, "parquet"), columns, row_group_size=2)
    response = world.get(f"/v1/jobs/{job.job_id}/export", params={"format": "arrow"})
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert pa.ipc.open_stream(response.content).read_all().equals(pa.table(columns))


@pytest.mark.parametrize("file_format", ["csv", "arrow"])
def test_an_export_of_many_rows_is_made_block_by_block(world: World, file_format: str) -> None:
    # Given a Parquet file of many rows
    path, rows = paths.export(world.submitted().job_id, "parquet"), 100_000
    columns = {"item_id": pa.array([f"item {number}" for number in range(rows)])}
    write_table(world.stores, path, columns, row_group_size=rows)
    # When it is made into another format
    with world.stores.objects.open_input(path) as stored:
        schema, batches = parquet_batches(stored)
        blocks = list((csv_blocks if file_format == "csv" else arrow_blocks)(schema, batches))
    # Then no block grows with the file
    assert len(blocks) > 10
    assert max(map(len, blocks)) < 300_000
    assert sum(block.count(b"item ") for block in blocks) == rows


def pages(world: World, job: Job, **request: Any) -> tuple[list[bytes], str | None]:
    """Read pages of two rows until one is empty; return them and what the last one points to."""
    found: list[bytes] = []
    params = {"limit": "2", **request.pop("params", {})}
    for _ in range(10):
        response = world.get(f"/v1/jobs/{job.job_id}/results", params=params, **request)
        cursor = response.headers.get("muster-next-cursor")
        if cursor is None or cursor == params.get("cursor"):
            return found, cursor
        found.append(response.content)
        params["cursor"] = cursor
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("asked_by", ["format", "accept"])
@pytest.mark.parametrize("state", [JobState.ASKING, JobState.COMPLETED])
def test_results_come_in_other_formats_with_their_cursor(
    world: World, state: JobState, asked_by: str
) -> None:
    # Given a job that has delivered three labels, running or not
    job = world.moved(world.submitted(), state)
    delivered = deliver(world, job, [3])

    def asked(name: str, media_type: str) -> tuple[list[bytes], str | None]:
        if asked_by == "format":
            return pages(world, job, params={"format": name})
        return pages(world, job, headers={"Accept": f"image/png, {media_type};q=0.9, */*"})

    # Then each format gives them page by page, and the cursor waits while the job runs
    lines, cursor = asked("jsonl", "application/x-ndjson")
    assert cursor == (None if state is JobState.COMPLETED else "3")
    ids = [json.loads(line)["item_id"] for page in lines for line in page.splitlines()]
    assert ids == delivered
    tables, _ = asked("csv", "text/csv")
    rows = [row for page in tables for row in csv.DictReader(io.StringIO(page.decode()))]
    assert [row["item_id"] for row in rows] == delivered
    streams, _ = asked("arrow", "application/vnd.apache.arrow.stream")
    table = pa.concat_tables([pa.ipc.open_stream(page).read_all() for page in streams])
    assert table["item_id"].to_pylist() == delivered
    assert table.schema.field("probability").type == pa.float32()


def test_a_page_without_rows_keeps_its_columns(world: World) -> None:
    job = world.moved(world.submitted(), JobState.ASKING)
    url = f"/v1/jobs/{job.job_id}/results"
    empty = pa.ipc.open_stream(world.get(url, params={"format": "arrow"}).content).read_all()
    assert (empty.num_rows, empty.column_names[:2]) == (0, ["item_id", "label"])
    header = world.get(url, params={"format": "csv"}).text
    assert header.startswith('"item_id","label",')
    assert header.count("\n") == 1


@pytest.mark.parametrize(
    ("accept", "liked"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/csv", "csv"),
        ("text/csv;q=0.1, application/json", "json"),
        ("application/json;q=0.5, TEXT/CSV; charset=utf-8", "csv"),
        ("text/csv;q=0", "json"),
        ("text/csv;q=much", "csv"),
        ("application/x-ndjson, text/csv", "jsonl"),
    ],
)
def test_the_format_is_the_one_the_client_likes_best(accept: str, liked: str) -> None:
    assert format_accepted(accept) == liked
