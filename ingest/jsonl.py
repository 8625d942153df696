"""Rows of JSON Lines: one JSON object (RFC 8259) a line, blank lines skipped."""

import json
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NoReturn

from cluster.domain.items import RejectedRow
from ingest.lines import read_lines
from ingest.rows import Absent, Code, Layout, Problem, Row

_VALUES_MAX = 100_000
"""Commas and brackets in a line; a parsed value takes up to 30 times its text."""


def jsonl_rows(stream: BinaryIO, layout: Layout) -> Iterator[Row | RejectedRow]:
    """Yield each line's object as a row, or why it is none; `line` is the line's number."""
    for line, found in json_objects(stream, layout.record_bytes_max):
        yield found if isinstance(found, RejectedRow) else _row(line, found, layout)


def json_objects(
    stream: BinaryIO, bytes_max: int
) -> Iterator[tuple[int, dict[str, object] | RejectedRow]]:
    """Yield the object of each line that is not blank, or why it is none, with its number."""
    for line in read_lines(stream, bytes_max):
        if line.content is None:
            yield line.number, too_long(line.number, line.size, bytes_max)
        elif not is_blank(line.content):
            yield line.number, parse_object(line.number, line.content)


def is_blank(content: bytes) -> bool:
    """Whether a line counts but is no row."""
    return not content or content.isspace()


def too_long(line: int, size: int, bytes_max: int) -> RejectedRow:
    """Return the rejection of a line over the limit, which nobody parses."""
    detail = f"the line has {size:,} bytes; the limit is {bytes_max:,}"
    return Problem(None, Code.ROW_TOO_LARGE, detail).at(line)


def parse_line(line: int, content: bytes, layout: Layout) -> Row | RejectedRow:
    """Return a line's object as a row, or why it is none."""
    found = parse_object(line, content)
    return found if isinstance(found, RejectedRow) else _row(line, found, layout)


def parse_object(line: int, content: bytes) -> dict[str, object] | RejectedRow:
    """Return a line's object, or why it is none."""
    value = parse_json(content)
    if isinstance(value, Problem):
        return value.at(line)
    if not isinstance(value, dict):
        detail = f"the line is {_name(value)}, not an object"
        return Problem(None, Code.JSON_NOT_OBJECT, detail).at(line)
    return value


def _row(line: int, found: Mapping[str, object], layout: Layout) -> Row:
    names = (layout.id_field, layout.content_field, layout.pair_field)
    return Row(line, *(found.get(name, Absent.ABSENT) for name in names if name is not None))


def parse_json(content: bytes) -> object:
    """Return the value of one line, or the Problem with it; no line can do worse than that."""
    if len(content) > _VALUES_MAX and _values(content) > _VALUES_MAX:
        return Problem(None, Code.ROW_TOO_LARGE, f"the line has more than {_VALUES_MAX:,} values")
    try:
        return _DECODER.decode(content.decode())
    except RecursionError:
        return Problem(None, Code.JSON_TOO_DEEP, "the JSON is nested too deeply")
    except ValueError as error:
        return _problem(error)


def _problem(error: ValueError) -> Problem:
    """Say what the parser, or the decoder before it, has met."""
    match error:
        case UnicodeDecodeError():
            code, detail = Code.UTF8_INVALID, f"byte {error.start + 1} of the line is not UTF-8"
        case json.JSONDecodeError():
            detail = f"not JSON at character {error.pos + 1} of the line: {error.msg}"
            code = Code.JSON_MALFORMED
        case _ConstantError():
            code, detail = Code.JSON_MALFORMED, f"{error} is not JSON"
        case _:
            code, detail = Code.JSON_NUMBER_TOO_LONG, "an integer has too many digits"
    return Problem(None, code, detail)


def _values(content: bytes) -> int:
    return content.count(b",") + content.count(b"[") + content.count(b"{")


def _name(value: object) -> str:
    """Return what JSON calls a value that is no object."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "a number"


class _ConstantError(ValueError):
    """A NaN or Infinity, which Python's parser would let through."""


def _refuse(constant: str) -> NoReturn:
    raise _ConstantError(constant)


_DECODER = json.JSONDecoder(parse_constant=_refuse)
