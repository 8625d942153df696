"""The page on abuse says what is so: every row names tests, and they exist."""

import re

from tests.infra.test_docs import PATH, ROOT, functions_in

PAGE = ROOT / "docs" / "security.md"


HEADS = (
    ["abuse", "defence", "test"],
    ["abuse", "defence", "test", "figure, and what is not there"],
)
ABUSES = 20


def rows() -> list[list[str]]:
    """Return the cells of every row of the page's tables of abuses, without heads and rules."""
    found: list[list[str]] = []
    for table in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(), re.MULTILINE):
        head, _, *lines = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in table.splitlines()
        ]
        found += lines if head in HEADS else []
    return found


def test_every_abuse_has_a_defence_and_a_test_that_exists() -> None:
    found = rows()
    assert len(found) > 30
    for abuse, defence, tests, *figure in found:
        assert abuse
        assert defence, abuse
        assert all(figure), abuse
        named = PATH.findall(tests)
        assert named, f"no test is named against: {abuse}"
        for path, test in named:
            assert test in functions_in(ROOT / path), f"{path}::{test}"


def test_the_threat_model_is_told_row_by_row_with_its_figures() -> None:
    numbered = [(row[0].split(" ")[0], len(row)) for row in rows() if re.match(r"A\d+ ", row[0])]
    assert numbered == [(f"A{number}", 4) for number in range(1, ABUSES + 1)]


def test_no_abuse_is_told_twice() -> None:
    abuses = [row[0] for row in rows()]
    assert len(abuses) == len(set(abuses))
