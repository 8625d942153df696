"""Small things: functions of a screen, files of one idea, lines that fit beside one another."""

import re
from collections.abc import Iterable, Iterator

from tests.tidy.tree import Function, Source, source, sources, texts

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
COLUMNS_MAX = 100

PRAGMA = re.compile(r"\s*# (?:type: ignore|noqa)\b.*$")
"""A remark to a tool does not count, as with ruff."""

MEASURED = (".py", ".sh", ".toml", "Makefile")


def test_no_function_is_longer_than_a_screen() -> None:
    assert dict(long_functions(sources())) == {}


def test_no_file_holds_more_than_one_idea_can_need() -> None:
    assert [found.path for found in sources() if is_long(found)] == []


def test_no_line_is_wider_than_two_can_stand_beside_each_other() -> None:
    assert list(wide_lines((path, text) for path, text in texts() if path.endswith(MEASURED))) == []


def test_a_long_function_is_found() -> None:
    body = "    pass\n" * FUNCTION_LINES_MAX
    assert dict(long_functions([source(f"def f():\n{body}")])) == {"allocation/example.py:f": 71}
    assert dict(long_functions([source(f"def f():\n{body[9:]}")])) == {}


def test_a_long_file_is_found() -> None:
    assert is_long(source("x = 1\n" * (FILE_LINES_MAX + 1)))
    assert not is_long(source("x = 1\n" * FILE_LINES_MAX))


def test_a_wide_line_is_found() -> None:
    fits, wide = "ä" * COLUMNS_MAX, "ä" * (COLUMNS_MAX + 1)
    assert list(wide_lines([("a.py", f"{fits}\n{wide}\n{fits}  # noqa: A001\n")])) == ["a.py:2"]


def long_functions(found: Iterable[Source]) -> Iterator[tuple[str, int]]:
    for each in found:
        for function in each.functions:
            if lines_of(function) > FUNCTION_LINES_MAX:
                yield f"{each.path}:{function.name}", lines_of(function)


def lines_of(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def is_long(found: Source) -> bool:
    return len(found.text.splitlines()) > FILE_LINES_MAX


def wide_lines(found: Iterable[tuple[str, str]]) -> Iterator[str]:
    for path, text in found:
        for number, line in enumerate(text.splitlines(), start=1):
            if len(PRAGMA.sub("", line)) > COLUMNS_MAX:
                yield f"{path}:{number}"
