"""Nothing in the tree runs what it reads: each rule finds its own breach.

Ruff's S rules look for much of this, too, where a remark may silence them. Here nothing silences a
rule but the list below, and rules that ruff does not have stand beside the ones it has.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping

import pytest

from tests.tidy.tree import Source, dotted, source, sources

ALLOWED = {
    # Between processes of one cluster, which run each other's code anyhow.
    "serve_apps/prelabel/job.py": ("pickle.loads", "pickle.loads"),
    # A round trip of our own errors, as Ray makes it.
    "tests/unit/cluster/test_errors.py": ("pickle.loads",),
    "tests/unit/prelabel/test_errors_travel.py": ("pickle.loads",),
    # The example of our own documentation is run to see that it is true.
    "tests/unit/gateway/test_compatibility.py": ("exec", "compile"),
    # Exports in Arrow's format, read back.
    "tests/unit/gateway/test_downloads.py": ("pyarrow.ipc.open_stream",) * 4,
}
"""Files that need a dangerous call, and which. This list only shrinks."""

CALLS = frozenset(
    {
        # What makes objects of bytes makes any object of them, and runs what that takes.
        *("pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "dill.loads"),
        *("cloudpickle.load", "cloudpickle.loads", "ray.cloudpickle.loads", "joblib.load"),
        *("marshal.load", "marshal.loads", "shelve.open", "pandas.read_pickle"),
        *("torch.load", "torch.jit.load", "torch.export.load", "torch.hub.load"),
        *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"),
        # Text as code, and text for a shell.
        *("eval", "exec", "compile", "runpy.run_path"),
        *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
        # Readers with a history of believing what they read.
        *("pyarrow.ipc.open_file", "pyarrow.ipc.open_stream", "pyarrow.feather.read_table"),
        *("pyarrow.feather.read_feather", "pandas.read_feather", "pandas.read_hdf"),
        *("xml.etree.ElementTree.XML", "xml.dom.minidom.parseString", "xml.sax.parseString"),
        *("tempfile.mktemp", "ssl._create_unverified_context"),
    }
)
"""Functions that nobody calls, by the name they have where they come from."""

METHODS = frozenset({"extractall", "read_pickle", "to_pickle"})
"""Methods that nobody calls, whatever they are called on."""

KEYWORDS: Mapping[str, bool] = {
    "shell": True,
    "trust_remote_code": True,
    "allow_pickle": True,
    "weights_only": False,
    "use_safetensors": False,
    "verify": False,
    "check_hostname": False,
}
"""Arguments, and the value that nobody gives them."""


def dangers(found: Source) -> Iterator[str]:
    """Yield what is called that must not be, or the argument that must not be given."""
    origins = dict(_origins(found.tree))
    for node in ast.walk(found.tree):
        if not isinstance(node, ast.Call):
            continue
        head, dot, rest = dotted(node.func).partition(".")
        name = origins.get(head, head) + dot + rest
        if name in CALLS or (dot and name.rpartition(".")[2] in METHODS):
            yield name
        yield from (given for keyword in node.keywords if (given := _danger_in(keyword)))


def test_nothing_in_the_tree_runs_what_it_reads() -> None:
    assert dict(places(sources())) == ALLOWED


@pytest.mark.parametrize(
    ("breach", "innocent"),
    [
        ("import pickle\npickle.loads(x)", "import json\njson.loads(x)"),
        ("from pickle import loads\nloads(x)", "from json import loads\nloads(x)"),
        ("import pickle as p\np.Unpickler(x)", "import pickle\npickle.dumps(x)"),
        ("from ray import cloudpickle\ncloudpickle.loads(x)", "x.loads(y)"),
        ("import joblib\njoblib.load(x)", "loader.load(x)"),
        ("import torch\ntorch.load(x)", "import torch\ntorch.zeros(3)"),
        ("import torch\ntorch.export.load(x)", "network.load_state_dict(x)"),
        ("import yaml\nyaml.load(x)", "import yaml\nyaml.safe_load(x)"),
        ("import marshal\nmarshal.loads(x)", "import struct\nstruct.unpack(x)"),
        ("eval(x)", "network.eval()"),
        ("exec(x)", "operator.exec(x)"),
        ("compile(x, 'a', 'exec')", "import re\nre.compile(x)"),
        ("import os\nos.system(x)", "import os\nos.fsync(x)"),
        ("import subprocess as s\ns.getoutput(x)", "import subprocess as s\ns.run([x])"),
        ("import subprocess as s\ns.run(x, shell=True)", "s.run(x, shell=False)"),
        ("load(x, trust_remote_code=True)", "load(x, trust_remote_code=False)"),
        ("load(x, trust_remote_code=given)", "load(x, trust_remote_code=False)"),
        ("load(x, use_safetensors=False)", "load(x, use_safetensors=True)"),
        ("load(x, weights_only=False)", "load(x, weights_only=True)"),
        ("import numpy as np\nnp.load(x, allow_pickle=True)", "import numpy as np\nnp.load(x)"),
        ("get(url, verify=False)", "get(url, verify=True)"),
        ("import pyarrow as pa\npa.ipc.open_stream(x)", "import pyarrow as pa\npa.table(x)"),
        ("archive.extractall(x)", "archive.extract(x)"),
        ("import tempfile\ntempfile.mktemp()", "import tempfile\ntempfile.mkstemp()"),
        ("from xml.etree import ElementTree as E\nE.XML(x)", "from defusedxml import a\na.XML(x)"),
    ],
)
def test_a_danger_is_found_and_nothing_else(breach: str, innocent: str) -> None:
    assert list(dangers(source(breach)))
    assert not list(dangers(source(innocent)))


def places(found: Iterable[Source]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for each in found:
        if told := tuple(dangers(each)):
            yield each.path, told


def _origins(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each name that an import brings, and what it is the name of."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.asname, each.name) for each in node.names if each.asname)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for each in node.names:
                yield each.asname or each.name, f"{node.module}.{each.name}"


def _danger_in(keyword: ast.keyword) -> str | None:
    """Return an argument that has its bad value, or may: where remote code runs, what is not seen.

    Elsewhere what is no constant is our own, handed on.
    """
    bad = KEYWORDS.get(keyword.arg or "")
    seen = isinstance(keyword.value, ast.Constant)
    given = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
    if bad is None or (seen and given is not bad):
        return None
    return f"{keyword.arg}={bad}" if seen or keyword.arg == "trust_remote_code" else None
