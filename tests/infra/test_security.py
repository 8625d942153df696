"""The page on abuse says what is so: every row names tests, and they exist."""

import re

from tests.infra.test_docs import PATH, ROOT, functions_in

PAGE = ROOT / "docs" / "security.md"


def rows() -> list[list[str]]:
    """Return the cells of every row of the page's tables, without heads and rules."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if row != ["abuse", "defence", "test"]]


def test_every_abuse_has_a_defence_and_a_test_that_exists() -> None:
    found = rows()
    assert len(found) > 30
    for abuse, defence, tests in found:
        assert abuse
        assert defence, abuse
        named = PATH.findall(tests)
        assert named, f"no test is named against: {abuse}"
        for path, test in named:
            assert test in functions_in(ROOT / path), f"{path}::{test}"


def test_no_abuse_is_told_twice() -> None:
    abuses = [row[0] for row in rows()]
    assert len(abuses) == len(set(abuses))
