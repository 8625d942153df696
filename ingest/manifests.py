"""Lines of SageMaker Ground Truth manifests as rows.

A line is a JSON object with `source` (a text) or `source-ref` (the URI of an image). What else it
holds is not read here, and comes back in the manifest that is written at the end. Objects have no
ids there: a line's number is the id of its item.
"""

from collections.abc import Iterator
from typing import BinaryIO

from cluster.domain.items import RejectedRow
from ingest.jsonl import json_objects
from ingest.rows import Absent, Code, Layout, Problem, Row


def manifest_rows(stream: BinaryIO, layout: Layout) -> Iterator[Row | RejectedRow]:
    """Yield each line's object as a row, or why it is none; `line` is the line's number."""
    for line, found in json_objects(stream, layout.record_bytes_max):
        if isinstance(found, RejectedRow):
            yield found
            continue
        reserved = next((key for key in found if key.startswith("$")), None)
        if reserved is None:
            yield Row(line, line, found.get(layout.content_field, Absent.ABSENT))
        else:
            detail = f"the key {reserved[:100]!r} begins with $, which manifests reserve"
            yield Problem(reserved[:100], Code.REQUEST_UNSUPPORTED, detail).at(line)
