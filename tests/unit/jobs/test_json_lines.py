import json
from collections.abc import Sequence

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.json_lines import json_lines

SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("answers", pa.int32()),
        ("probability", pa.float32()),
        ("audited", pa.bool_()),
    ]
)
TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ROWS = st.lists(
    st.tuples(
        TEXT,
        st.integers(-(2**31), 2**31 - 1),
        st.floats(0.0, 1.0, width=32),
        st.none() | st.booleans(),
    ),
    max_size=20,
)


def table_of(rows: Sequence[tuple[object, ...]]) -> pa.Table:
    named = [dict(zip(SCHEMA.names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(named, schema=SCHEMA)


@given(ROWS, st.integers(0, 5))
def test_every_row_is_read_back_as_it_was(rows: list[tuple[object, ...]], skipped: int) -> None:
    # Given any table, also one that begins in the middle of its buffers
    table = table_of(rows).slice(skipped)
    # When it is written as lines
    lines = json_lines(table).decode().split("\n")
    # Then each is one JSON object that says what the row says
    assert lines.pop() == ""
    found = [json.loads(line) for line in lines]
    assert found == table.to_pylist()
