"""Habits of product code that no linter of ours knows: each rule finds its own breach."""

import ast
from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.tidy.tree import Source, dotted, product, source

BLANKET_EXCEPTS = {
    # A model may raise anything over an item; bisection finds the item and reports it.
    "serve_apps/prelabel/triage.py": 1,
}
"""Files that catch everything without raising it again, and how often. This list only shrinks."""

ENVIRONMENT_READERS = {
    # The settings look which variables mean nothing, to refuse a mistyped one.
    "cluster/settings.py": 1,
    # A local Ray hands to Serve what its processes read nowhere else.
    "cluster/runtime.py": 1,
}

EFFECTS = frozenset({"append", "configure", "init", "mkdir", "open", "run", "start", "write"})
"""Calls that do something to the world; never while a module is imported."""

MUTATORS = frozenset(
    {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"}
    | {"setdefault", "update"}
)

Rule = Callable[[Source], Iterator[str]]


def prints(found: Source) -> Iterator[str]:
    """Product code logs or returns; a console is for the command alone."""
    for node in ast.walk(found.tree):
        if isinstance(node, ast.Call) and dotted(node.func) == "print":
            yield at(found, node)


def sleeps(found: Source) -> Iterator[str]:
    """Nobody waits by the clock for what somebody could tell."""
    for node in ast.walk(found.tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("time.sleep", "sleep"):
            yield at(found, node)


def reads_the_environment(found: Source) -> Iterator[str]:
    """Settings come from the settings tree, by value."""
    for node in ast.walk(found.tree):
        name = dotted(node) if isinstance(node, ast.Attribute) else ""
        if name.split(".")[-1] in ("environ", "getenv", "environb"):
            yield at(found, node)


def swallows(found: Source) -> Iterator[str]:
    """A handler of everything must raise again, or it hides what nobody thought of."""
    for node in ast.walk(found.tree):
        if isinstance(node, ast.ExceptHandler) and _catches_all(node) and not _raises(node):
            yield at(found, node)


def acts_when_imported(found: Source) -> Iterator[str]:
    """A module body defines; it calls nothing for its effect."""
    for node in found.tree.body:
        if _acts(node) or (isinstance(node, ast.If) and not _is_guard(node)):
            yield at(found, node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            yield from (at(found, call) for call in _calls(node.value) if _has_effect(call))


def changes_globals(found: Source) -> Iterator[str]:
    """What a module holds never changes once it is imported."""
    held = {name for node in found.tree.body for name in _assigned(node)}
    for node in ast.walk(found.tree):
        if isinstance(node, ast.Global) or _mutated(node) in held:
            yield at(found, node)


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (prints, {}),
        (sleeps, {}),
        (reads_the_environment, ENVIRONMENT_READERS),
        (swallows, BLANKET_EXCEPTS),
        (acts_when_imported, {}),
        (changes_globals, {}),
    ],
)
def test_product_code_keeps_the_rule(rule: Rule, allowed: dict[str, int]) -> None:
    assert list(breaches(rule, product(), allowed)) == []


@pytest.mark.parametrize(
    ("rule", "breach", "innocent"),
    [
        (prints, "print('x')", "console.print('x')"),
        (sleeps, "time.sleep(1)", "run(wait=time.sleep)"),
        (reads_the_environment, "x = os.environ['A']", "environment = {}"),
        (reads_the_environment, "x = os.getenv('A')", "x = settings.a"),
        (swallows, "try:\n f()\nexcept:\n pass", "try:\n f()\nexcept:\n undo()\n raise"),
        (swallows, "try:\n f()\nexcept Exception as e:\n log(e)", "try:\n f()\nexcept E:\n pass"),
        (swallows, "try:\n f()\nexcept (E, BaseException):\n pass", "try:\n f()\nfinally:\n g()"),
        (acts_when_imported, "configure()", "'text'"),
        (acts_when_imported, "x = Path('a').mkdir()", "x = Path('a')"),
        (acts_when_imported, "for x in y:\n f(x)", "if TYPE_CHECKING:\n import a"),
        (acts_when_imported, "if x:\n y = 1", "if __name__ == '__main__':\n main()"),
        (changes_globals, "X = {}\ndef f():\n X['a'] = 1", "def f():\n X = {}\n X['a'] = 1"),
        (changes_globals, "X = []\ndef f():\n X.append(1)", "X = [1]\ndef f():\n return X[0]"),
        (changes_globals, "def f():\n global x\n x = 1", "def f():\n x = 1"),
    ],
)
def test_a_rule_finds_its_breach_and_nothing_else(rule: Rule, breach: str, innocent: str) -> None:
    assert list(rule(source(breach)))
    assert not list(rule(source(innocent)))


def test_an_exception_that_is_not_needed_any_more_is_a_breach_too() -> None:
    found = source("try:\n f()\nexcept:\n pass")
    assert list(breaches(swallows, [found], {found.path: 1})) == []
    assert list(breaches(swallows, [found], {found.path: 2}))
    assert list(breaches(swallows, [found], {"allocation/gone.py": 1}))


def breaches(rule: Rule, found: Iterable[Source], allowed: dict[str, int]) -> Iterator[str]:
    left = dict(allowed)
    for each in found:
        places = list(rule(each))
        if len(places) != left.pop(each.path, 0):
            yield from places or [f"{each.path} no longer needs its exception"]
    yield from (f"{path} is gone and needs no exception" for path in left)


def at(found: Source, node: ast.AST) -> str:
    return f"{found.path}:{getattr(node, 'lineno', 0)}"


def _catches_all(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(dotted(each) in ("Exception", "BaseException") for each in types)


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def _acts(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    return isinstance(node, ast.For | ast.While | ast.With | ast.Try | ast.AugAssign)


def _is_guard(node: ast.If) -> bool:
    return ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")


def _calls(value: ast.expr) -> Iterator[ast.Call]:
    return (node for node in ast.walk(value) if isinstance(node, ast.Call))


def _has_effect(call: ast.Call) -> bool:
    return dotted(call.func).rpartition(".")[2] in EFFECTS


def _mutated(node: ast.AST) -> str | None:
    """Return the name whose content a node changes in place, if it is a plain name."""
    target: ast.expr | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        target = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        target = node.func.value if node.func.attr in MUTATORS else None
    return target.id if isinstance(target, ast.Name) else None


def _assigned(node: ast.stmt) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return (target.id for target in targets if isinstance(target, ast.Name))
