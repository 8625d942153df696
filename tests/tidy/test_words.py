"""Nothing in the project depends on one machine, or speaks of what is not of the project."""

import re
from collections.abc import Iterable, Iterator

from tests.tidy.tree import sources, texts

MACHINE_PATHS = re.compile(r"(?<![\w.}/])/(?:home|Users|root|work|mnt|opt)/[\w.]")
"""Folders that only some machine has."""

FOREIGN_WORDS = re.compile(
    r"\b(?:anthropic|claude|chatgpt|copilot|sub-?agents?|ai assistant)\b", re.IGNORECASE
)
"""Whoever wrote a line, the line is the project's."""

UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK|WIP)\b")

THIS = "tests/tidy/test_words.py"


def test_no_file_names_a_machine() -> None:
    assert list(places(MACHINE_PATHS, texts())) == []


def test_no_file_speaks_of_its_making() -> None:
    assert list(places(FOREIGN_WORDS, texts())) == []


def test_nothing_is_left_to_do() -> None:
    assert list(places(UNFINISHED, texts())) == []


def test_a_skipped_test_says_why() -> None:
    """Ruff's PT rules ask it of `pytest.skip`; marks are looked at here."""
    found = [each for each in sources() if each.path.startswith("tests/")]
    unexplained = re.compile(r"@pytest\.mark\.(?:skipif|skip|xfail)\b(?!\(.*?reason=)", re.DOTALL)
    assert list(places(unexplained, ((each.path, each.text) for each in found))) == []


def test_each_pattern_finds_what_it_is_for() -> None:
    for path in ("/home/me", "'/root/.cache'", "(/work/x"):
        assert MACHINE_PATHS.search(path)
    for path in ("file:///data", "/v1/jobs", "{folder}/opt/x", "https://example.org/home/page"):
        assert not MACHINE_PATHS.search(path)
    assert FOREIGN_WORDS.search("as Claude said")
    assert not FOREIGN_WORDS.search("an agent, an LLM")
    assert UNFINISHED.search("# TODO later")
    assert not UNFINISHED.search("todolist")


def places(pattern: re.Pattern[str], found: Iterable[tuple[str, str]]) -> Iterator[str]:
    for path, text in found:
        if path != THIS:
            for match in pattern.finditer(text):
                yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()}"
