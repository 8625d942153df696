"""Every module is used by another, and Ray stays in the files that are named for it."""

import ast
import re
from collections.abc import Iterable, Iterator

from tests.tidy.tree import Source, product, source, sources

SHELLS = ("actor.py", "deployment.py", "job.py", "trainer.py", "tune.py", "app.py", "runtime.py")
"""What a file that imports Ray may be called; tests of Ray and benchmarks stand apart."""

ENTRANCES = {
    "serve_apps.cli.main": "the `muster` command",
    "serve_apps.gateway.openapi": "`python -m serve_apps.gateway.openapi`",
}
"""Modules that nothing imports, because things start there."""

STAND_INS = {
    "cluster.telemetry.memory": "metrics of this process, for tests without Ray",
    "training.local": "a trainer in this process, for tests without Ray",
}
"""Modules that only tests import: real parts in the place of distributed ones."""


def test_every_module_is_imported_by_another() -> None:
    users = [found for found in sources() if not found.path.startswith("tests/")]
    assert sorted(unused(product(), users)) == sorted({**ENTRANCES, **STAND_INS})


def test_every_stand_in_is_used_by_tests() -> None:
    stand_ins = [found for found in product() if found.module in STAND_INS]
    assert list(unused(stand_ins, sources())) == []


def test_only_shells_import_ray() -> None:
    importers = {found.path for found in sources() if imports_ray(found)}
    outside = {path for path in importers if path.startswith(("tests/ray/", "benchmarks/"))}
    shells = {path for path in importers if path.rpartition("/")[2] in SHELLS}
    assert shells
    assert sorted(importers - outside - shells) == []


def test_an_unused_module_is_found() -> None:
    one, other = source("", "allocation/one.py"), source("", "allocation/other.py")
    user = source("from allocation import one", "cluster/user.py")
    assert list(unused([one, other], [user])) == ["allocation.other"]
    user = source("def f():\n    import allocation.other", "cluster/user.py")
    assert list(unused([one, other], [user])) == ["allocation.one"]
    user = source("LATER = {'x': 'other:f'}", "allocation/user.py")
    assert list(unused([one, other], [user])) == ["allocation.one"]


def test_an_import_of_ray_is_found() -> None:
    for text in ("import ray", "from ray import serve", "def f():\n    import ray.train as t"):
        assert imports_ray(source(text))
    for text in ("import rayon", "from allocation import ray_of_light", "'import ray'"):
        assert not imports_ray(source(text))


def unused(found: Iterable[Source], users: Iterable[Source]) -> Iterator[str]:
    """Yield the modules among the found that no other file of the users imports."""
    importers: dict[str, set[str]] = {}
    for user in users:
        for name in imports(user):
            importers.setdefault(name, set()).add(user.path)
    for each in found:
        is_package = each.path.endswith("__init__.py")
        if not is_package and not importers.get(each.module, set()) - {each.path}:
            yield each.module


def imports(found: Source) -> Iterator[str]:
    """Yield every name that may be a module: `a.b`, and of `from a import b` both a and a.b.

    A text `module:function` names a module of the same package that is imported later.
    """
    package = found.module.rpartition(".")[0]
    for node in ast.walk(found.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"\w+:\w+", str(node.value)):
            yield f"{package}.{str(node.value).partition(':')[0]}"


def imports_ray(found: Source) -> bool:
    return any(name.split(".")[0] == "ray" for name in imports(found))
