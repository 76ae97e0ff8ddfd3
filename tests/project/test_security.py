"""What the code must not do: load what runs code, download what nothing pins, or hand text to an interpreter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for folder in ("mdnbench", "plugins", "scripts") for path in (ROOT / folder).rglob("*.py"))
PICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "jsonpickle"}


def name_of(node: ast.AST) -> str:
    """`torch.load` for the expression that says so."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def given(call: ast.Call, keyword: str) -> object:
    """The constant that a call gives for a keyword, or Ellipsis where it says nothing of it."""
    for each in call.keywords:
        if each.arg == keyword:
            return each.value.value if isinstance(each.value, ast.Constant) else "computed"
    return ...


def sins(text: str) -> Iterator[str]:
    """What is forbidden in a module, with its line."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PICKLERS:
            yield f"{node.lineno}: takes something from {node.module}"
        elif isinstance(node, ast.Attribute) and name_of(node.value) in PICKLERS and node.attr != "UnpicklingError":
            yield f"{node.lineno}: uses {name_of(node)}"
        elif isinstance(node, ast.Call):
            yield from (f"{node.lineno}: {sin}" for sin in _sins_of_call(node))


def _sins_of_call(call: ast.Call) -> Iterator[str]:
    name = name_of(call.func)
    last = name.rpartition(".")[2]
    if name == "torch.load" and given(call, "weights_only") is not True:
        yield "torch.load without weights_only=True"
    if given(call, "allow_pickle") not in (False, ...) or (
        name in ("np.load", "numpy.load") and len(call.keywords) == 0
    ):
        yield "NumPy's pickles"
    if given(call, "known_hash") is None or (last == "retrieve" and given(call, "known_hash") is ...):
        yield "a download without a known hash"
    if name in ("eval", "exec", "compile", "__import__", "os.system", "os.popen") or given(call, "shell") is True:
        yield f"{name}: text handed to an interpreter"
    if last in ("extractall", "unpack_archive"):
        yield f"{name}: an archive unpacked as its author likes"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_forbidden_is_in_the_code(path: Path) -> None:
    """No file of ours loads pickles, downloads what nothing pins, or runs text."""
    assert list(sins(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.loads(b'')",
        "from pickle import loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=choice)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "pooch.retrieve(url, known_hash=None)",
        "pooch.retrieve(url)",
        "eval('1')",
        "subprocess.run('ls', shell=True)",
        "archive.extractall()",
    ],
)
def test_the_rules_find_what_they_forbid(text: str) -> None:
    """Each of the sins is seen, so that an empty list means something."""
    assert list(sins(text))
