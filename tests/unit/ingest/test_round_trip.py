"""The same rows make the same items, whatever file they came in."""

import csv
import io
import json

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.domain.jobs import SourceFormat
from tests.unit.ingest.support import Ingested, ingest, parquet, source

Rows = list[tuple[str, str]]

WORDS = st.text(
    st.one_of(st.sampled_from('",\r\n\\ é😀'), st.characters(exclude_categories=["Cs"])), max_size=9
)
IDS = st.one_of(st.sampled_from(["a", "b", "c"]), WORDS)
ROWS = st.lists(st.tuples(IDS, WORDS), max_size=12)


def as_jsonl(rows: Rows, *, ascii_only: bool = True) -> bytes:
    lines = (
        json.dumps({"id": item_id, "text": text}, ensure_ascii=ascii_only) for item_id, text in rows
    )
    return "\n".join(lines).encode()


def as_csv(rows: Rows) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([["text", "id"], *((text, item_id) for item_id, text in rows)])
    return stream.getvalue().encode()


def as_parquet(rows: Rows) -> bytes:
    ids, texts = ([row[column] for row in rows] for column in (0, 1))
    return parquet({"id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.string())})


def expected_items(rows: Rows) -> list[tuple[str, str]]:
    """What a reading of the rules by hand makes of rows."""
    kept: dict[str, str] = {}
    for item_id, text in rows:
        if item_id and text.strip() and item_id not in kept:
            kept[item_id] = text
    return list(kept.items())


@settings(max_examples=60)
@given(rows=ROWS)
def test_jsonl_csv_and_parquet_agree(rows: Rows) -> None:
    # Given random rows, ids that come twice and blank texts among them, and a good one
    rows = [*rows, ("the last id", "a text")]
    files: list[tuple[SourceFormat, bytes]] = [
        ("jsonl", as_jsonl(rows)),
        ("jsonl", as_jsonl(rows, ascii_only=False)),
        ("csv", as_csv(rows)),
        ("parquet", as_parquet(rows)),
    ]
    # When they are ingested from each format
    found = [ingest(content, source(name)) for name, content in files]
    # Then the items are those that the rules keep, at the same positions, and so are the errors
    items = [
        (position, item_id, text) for position, (item_id, text) in enumerate(expected_items(rows))
    ]
    for each in found:
        assert list(each.items) == items
        assert each.progress == found[0].progress
        assert errors(each) == errors(found[0])
    assert found[0].progress.rejected == len(rows) - len(items)


def errors(found: Ingested) -> list[tuple[int, str, str]]:
    return [(error["line"], error["field"], error["code"]) for error in found.errors]
