"""Files in the formats of others: which rows make items, and ingests that die and go on."""

import pytest

from cluster.domain.jobs import JobState, SourceFormat
from ingest.openai_batch import ENDPOINT
from ingest.stage import IngestStage
from tests.unit.ingest.support import (
    SETTINGS,
    DyingChunks,
    Killed,
    desk_of,
    ingest,
    ingested,
    job,
    jsonl,
    source,
    stores_with,
)

ROWS = 30
FORMATS: tuple[SourceFormat, ...] = ("openai-batch", "manifest")


def content_of(file_format: SourceFormat) -> bytes:
    """Return a file of which every seventh line is wrong."""
    line = request if file_format == "openai-batch" else entry
    return jsonl(*(line(number, sound=number % 7 > 0) for number in range(ROWS)))


def request(number: int, *, sound: bool) -> dict[str, object]:
    """Return a line of a batch whose labels are those of the test's job."""
    label = {"type": "string", "enum": ["yes", "no"]}
    schema = {"type": "object", "properties": {"answer": label}}
    body: dict[str, object] = {
        "messages": [{"role": "user", "content": f"text {number}"}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": schema}},
    }
    method = "POST" if sound else "GET"
    return {"custom_id": f"r{number}", "method": method, "url": ENDPOINT, "body": body}


def entry(number: int, *, sound: bool) -> dict[str, object]:
    """Return a line of a manifest."""
    return {"source": f"text {number}" if sound else "", "at": number}


@pytest.mark.parametrize("file_format", FORMATS)
def test_sound_lines_are_items_and_others_are_refused(file_format: SourceFormat) -> None:
    found = ingest(content_of(file_format), source(file_format, label_field="answer"))
    sound = [number for number in range(ROWS) if number % 7]
    ids = [f"r{number}" if file_format == "openai-batch" else str(number + 1) for number in sound]
    texts = [f"text {number}" for number in sound]
    assert list(found.items) == list(zip(range(len(sound)), ids, texts, strict=True))
    assert [error["line"] for error in found.errors] == [1, 8, 15, 22, 29]


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("file_format", FORMATS)
def test_an_ingest_that_dies_goes_on_as_if_it_had_not(
    file_format: SourceFormat, *, recorded: bool
) -> None:
    # Given an ingest that dies at its third chunk
    content, spec_source = content_of(file_format), source(file_format, label_field="answer")
    chunks = DyingChunks(2, recorded=recorded)
    stores = stores_with(content, chunks=chunks)
    desk = desk_of(stores, job(spec_source))
    with pytest.raises(Killed):
        IngestStage(stores, SETTINGS).run(desk)
    # When it is run again
    chunks.dies_at = None
    assert IngestStage(stores, SETTINGS).run(desk) is JobState.PRELABELLING
    # Then it ends like one that did not die
    unbroken = ingest(content, spec_source)
    assert ingested(stores).items == unbroken.items
    assert ingested(stores).errors == unbroken.errors
