"""Every test can fail: it asserts something itself, or calls something that does."""

import ast
from collections.abc import Iterable, Iterator

from tests.tidy.tree import Function, Source, dotted, source, sources

CHECKS = frozenset({"pytest.raises", "pytest.fail", "pytest.warns", "run_state_machine_as_test"})


def test_every_test_asserts_something() -> None:
    found = [each for each in sources() if each.path.startswith("tests/")]
    assert list(idle_tests(found)) == []


def test_every_test_has_a_name_of_its_own() -> None:
    found = [each for each in sources() if each.path.startswith("tests/")]
    assert list(shadowed_tests(found)) == []


def test_an_idle_test_is_found() -> None:
    assert list(idle_tests([source("def test_a():\n    run()")])) == [
        "allocation/example.py:test_a"
    ]
    helpers = "def check(x):\n    inner(x)\n\ndef inner(x):\n    assert x\n"
    for body in ("assert run()", "with pytest.raises(E):\n        run()", "self.check(1)"):
        found = source(f"def test_a():\n    {body}\n\n{helpers}")
        assert list(idle_tests([found])) == []


def test_a_shadowed_test_is_found() -> None:
    twice = "def test_a():\n    assert 1\n\ndef test_a():\n    assert 2"
    assert list(shadowed_tests([source(twice)])) == ["allocation/example.py:test_a"]


def idle_tests(found: Iterable[Source]) -> Iterator[str]:
    """Yield tests that neither assert nor call, by name, any function that does in the end."""
    found = tuple(found)
    checking = _checking([function for each in found for function in each.functions])
    for each in found:
        for function in each.functions:
            if function.name.startswith("test_") and function.name not in checking:
                yield f"{each.path}:{function.name}"


def shadowed_tests(found: Iterable[Source]) -> Iterator[str]:
    for each in found:
        for scope in ast.walk(each.tree):
            if isinstance(scope, ast.Module | ast.ClassDef):
                names = [node.name for node in scope.body if isinstance(node, Function)]
                twice = {name for name in names if names.count(name) > 1}
                yield from (f"{each.path}:{name}" for name in sorted(twice) if "test" in name)


def _checking(functions: list[Function]) -> set[str]:
    """Return the names of functions that check something, directly or through one another."""
    checking: set[str] = set()
    while True:
        more = {each.name for each in functions if _checks(each, checking)} - checking
        if not more:
            return checking
        checking |= more


def _checks(function: Function, checking: set[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            last = name.rpartition(".")[2]
            if name in CHECKS or last in checking or last.startswith("assert_"):
                return True
    return False
