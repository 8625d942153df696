"""The error file."""

import json
from dataclasses import replace

from cluster import paths
from cluster.domain.ids import ItemId
from cluster.domain.items import RejectedRow
from cluster.stores.objects import MemoryObjects
from ingest.bookmark import Bookmark, SourceMark
from ingest.rejects import RejectLog
from tests.unit.ingest.support import JOB

UNTOUCHED = Bookmark(source=SourceMark(size=0, ends_digest=""))


def test_rows_over_the_limit_are_counted_in_a_last_line() -> None:
    # Given room for two rows
    objects = MemoryObjects()
    log = RejectLog(objects, JOB, rows_max=2, bookmark=UNTOUCHED)
    # When 1,500 are refused
    for line in range(1, 1_501):
        row = RejectedRow(
            line=line, field="text", code="field-empty", detail="é", item_id=ItemId("a")
        )
        log.add(row)
    log.end()
    # Then two are written down, and then how many more there were
    lines = [json.loads(line) for line in objects.read(paths.errors(JOB)).splitlines()]
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
    objects = MemoryObjects()
    log = RejectLog(objects, JOB, rows_max=1, bookmark=UNTOUCHED)
    log.add(RejectedRow(line=1, field=None, code="json-malformed", detail="x"))
    log.end()
    assert len(objects.read(paths.errors(JOB)).splitlines()) == 1


def test_a_later_log_goes_on_behind_the_parts_of_an_earlier_one() -> None:
    # Given a log that stored its first row, and was lost with a second one that it had not
    objects = MemoryObjects()
    lost = RejectLog(objects, JOB, rows_max=9, bookmark=UNTOUCHED)
    lost.add(RejectedRow(line=1, field=None, code="json-malformed", detail="x"))
    lost.end_part()
    bookmark = replace(UNTOUCHED, rejected=lost.rows, error_parts=lost.parts)
    lost.add(RejectedRow(line=2, field=None, code="json-malformed", detail="lost"))
    # When another one goes on from there
    log = RejectLog(objects, JOB, rows_max=9, bookmark=bookmark)
    log.add(RejectedRow(line=2, field=None, code="json-malformed", detail="y"))
    log.end()
    # Then the file holds both rows, each once
    lines = [json.loads(line) for line in objects.read(paths.errors(JOB)).splitlines()]
    assert [(line["line"], line["detail"]) for line in lines] == [(1, "x"), (2, "y")]
    assert (log.rows, log.parts) == (2, 2)


def test_pending_rows_are_stored_before_they_fill_the_memory() -> None:
    objects = MemoryObjects()
    log = RejectLog(objects, JOB, rows_max=10**6, bookmark=UNTOUCHED)
    for line in range(2_500):
        log.add(RejectedRow(line=line, field=None, code="json-malformed", detail="x" * 1_000))
    assert log.parts == 2
    log.end()
    assert len(objects.read(paths.errors(JOB)).splitlines()) == 2_500
