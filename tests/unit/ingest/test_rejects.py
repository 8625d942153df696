"""The error file."""

import io
import json

from cluster.domain.ids import ItemId
from cluster.domain.items import RejectedRow
from ingest.rejects import RejectLog


def test_rows_over_the_limit_are_counted_in_a_last_line() -> None:
    # Given room for two rows
    stream = io.BytesIO()
    log = RejectLog(stream, rows_max=2)
    # When 1,500 are refused
    for line in range(1, 1_501):
        row = RejectedRow(
            line=line, field="text", code="field-empty", detail="é", item_id=ItemId("a")
        )
        log.add(row)
    log.end()
    # Then two are written down, and then how many more there were
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    first = {"line": 1, "field": "text", "code": "field-empty", "detail": "é", "id": "a"}
    assert lines[:2] == [first, {**first, "line": 2}]
    assert lines[2:] == [
        {
            "line": None,
            "field": None,
            "code": "more-rejected",
            "detail": "1,498 more rows were rejected",
            "id": None,
        }
    ]
    assert log.rows == 1_500


def test_as_many_rows_as_there_is_room_for_need_no_last_line() -> None:
    stream = io.BytesIO()
    log = RejectLog(stream, rows_max=1)
    log.add(RejectedRow(line=1, field=None, code="json-malformed", detail="x"))
    log.end()
    assert len(stream.getvalue().splitlines()) == 1
