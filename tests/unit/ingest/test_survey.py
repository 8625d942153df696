"""Where lines are, and which of them Arrow's parser may be trusted with."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.survey import DEPTH_MAX, DIGITS_MAX, Survey, survey

LIMIT = 10_000

OCTETS = st.text(alphabet='{}[]"\\\r\n\0 aN1,', max_size=40).map(str.encode)


def seen(data: bytes) -> Survey:
    """Survey all the lines of some bytes."""
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    return survey(np.frombuffer(data, np.uint8), lines, LIMIT)


@given(OCTETS.filter(bool))
def test_lines_are_where_their_ends_are(data: bytes) -> None:
    # Given any bytes, when they are surveyed
    found = seen(data)
    # Then the lines are those between the LFs, whatever strings and brackets are open there
    bounds = zip(found.starts.tolist(), found.ends.tolist(), strict=True)
    lines = data.removesuffix(b"\n").split(b"\n")
    assert [data[start:end] for start, end in bounds] == lines
    # And each is judged as it is alone
    assert found.plain.tolist() == [bool(line) and seen(line).plain.all() for line in lines]


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        (b'{"id": 1, "text": "a \\" } b"}', True),
        (b'{"a": [{}, {"b": []}]}\r', True),
        (b'{"a": ' + b"1" * DIGITS_MAX + b"}", True),
        (b'{"a": ' + b"1" * (DIGITS_MAX + 1) + b"}", False),
        (b'{"a": ' + b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1) + b"}", True),
        (b'{"a": ' + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"}", False),
        (b'{"a": NaN}', False),
        (b'{"a": -Infinity}', False),
        (b'{"a": 1} {"a": 2}', False),
        (b'{"a": 1} ', False),
        (b'{"a": 1}\r\r', False),
        (b'{"a": "\x00"}', False),
        (b'{"a": "b', False),
        (b'{"a": "b\\', False),
        (b'{"a": 1', False),
        (b" {}", False),
        (b"[{}]", False),
        (b"{}\0", False),
        (b'{"a": "' + b"b" * LIMIT + b'"}', False),
    ],
)
def test_a_plain_line_is_one_object_with_nothing_odd_in_it(line: bytes, *, plain: bool) -> None:
    # Given a line between two others, when all three are surveyed
    found = seen(b"{}\n" + line + b"\n{}")
    # Then it is judged by itself
    assert found.plain.tolist() == [True, plain, True]
