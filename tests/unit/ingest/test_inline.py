"""Items of a request as a file."""

import io

from hypothesis import given
from hypothesis import strategies as st

from ingest.inline import InlineItem, inline_to_jsonl
from ingest.jsonl import jsonl_rows
from ingest.rows import Absent, Row
from tests.unit.ingest.support import layout

TEXTS = st.text(st.characters())


@given(st.lists(st.tuples(st.one_of(TEXTS, st.integers()), TEXTS), max_size=9))
def test_the_nth_item_is_read_back_as_line_n(items: list[tuple[str | int, str]]) -> None:
    # Given items of a request, also with texts that no file could hold as they are
    content = inline_to_jsonl(InlineItem(id=item_id, text=text) for item_id, text in items)
    # Then each comes back on its own line, to the letter
    rows = list(jsonl_rows(io.BytesIO(content), layout(record_bytes_max=10_000)))
    assert rows == [Row(line, *item) for line, item in enumerate(items, 1)]


def test_an_image_is_a_field_of_its_own() -> None:
    content = inline_to_jsonl([InlineItem(id="a", image="QUJD"), InlineItem(id="b")])
    wanted = layout(modality="image", content_field="image")
    rows = list(jsonl_rows(io.BytesIO(content), wanted))
    assert rows == [Row(1, "a", "QUJD"), Row(2, "b", Absent.ABSENT)]
