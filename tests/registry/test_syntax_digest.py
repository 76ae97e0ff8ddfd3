"""Syntax digests: what counts as a change of code, on every Python that is here."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import mdnbench
from mdnbench.registry import syntax_digest as module
from mdnbench.registry.syntax_digest import syntax_digest

PYENV = Path("~/.pyenv/versions").expanduser()
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
TEXT = """
@cache
def f(a: int, b=1.5, *, c="x", **rest) -> "float":
    if a and b:
        return {**rest, "k": [a, (b, -0.0)], 0x10: b"\\x00"}
    return f"{a!r:>{b}} and {c}"
"""


def of(text: str) -> str:
    """The digest of a text."""
    return syntax_digest(text.encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = f(a, b)", "x = f(\n    a,\n    b,\n)  # why\n"),
        ("x = 'a' + \"b\"", 'x = ("a" + """b""")'),
        ("x = a + (b * c)", "x = a + b * c"),
        ("x = 'ab'", "x = ('a'\n     'b')"),
        ("x = u'a'", "x = 'a'"),
        ("x = 1_000, 0x10", "x = (1000, 16)"),
        ("x = f'a{b}c' 'd'", 'x = f"a{ b }cd"'),
        ("x = f'{b:}'", "x = f'{b}'"),
        ("x = 'a\\tb'", "x = 'a\tb'"),
        ("def f():\n    'one'\n    return 1", "def f():\n\n  return 1"),
        ("def f():\n    'one'", "def f():\n    pass"),
        ("async def f():\n    'one'\n    return 1", "async def f():\n    'two'\n    return 1"),
        ("class A:\n    '''One.'''\n    x = 1", "class A:\n    x = 1  # one"),
        ("'''One.'''\nimport a", "# coding: utf-8\nimport a"),
        ("x = 1\r\ny = '''a\r\nb'''\r\n", "x = 1\ny = '''a\nb'''"),
        ("if a:\n  x = 1", "if a: x = 1"),
        ("def f(): return 1 # type: ignore", "def f(): # type: () -> int\n  return 1"),
    ],
)
def test_layout_comments_and_docstrings_do_not_count(one: str, other: str) -> None:
    """The same code in another form."""
    assert of(one) == of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5", "1.25"),
        ("-0.0", "0.0"),
        ("a: int", "a: float"),
        ("b=1.5", "b"),
        ("b=1.5", "b='1.5'"),
        ("@cache\n", ""),
        ("a and b", "a or b"),
        ("a and b", "b and a"),
        ("**rest, ", ""),
        ('"x"', '"y"'),
        ('"k"', 'b"k"'),
        ("[a,", "(a,"),
        ("!r", "!s"),
        (" and {c}", " and  {c}"),
        (">{b}", "<{b}"),
        ("0x10", "16.0"),
        ("0x10", "True"),
        ('-> "float"', ""),
        ("def f", "def g"),
        ("def f", "async def f"),
        ("*, c", "c"),
    ],
)
def test_any_change_of_code_counts(one: str, other: str) -> None:
    """Constants with their type, names, operators, defaults, decorators, annotations, order."""
    assert one in TEXT
    assert of(TEXT) != of(TEXT.replace(one, other, 1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = 1j"),
        ("x = True", "x = 1"),
        ("x = None", "x = ..."),
        ("x = 'a'", "x = b'a'"),
        ("x = '1'", "x = 1"),
        ("x = 'a', 'b'", "x = 'a' 'b'"),
        ("x = 1\n'text'", "x = 1\n'other'"),
        ("def f():\n    x = 1\n    'text'", "def f():\n    x = 1"),
        ("f(a=1)", "f(b=1)"),
        ("f(*a)", "f(a)"),
        ("global a, b", "global a; global b"),
        ("from . import a", "from .. import a"),
        ("import a as b", "import a"),
        ("x: int", "(x): int"),
        ("[x for x in y]", "{x for x in y}"),
        ("def f(a, /): pass", "def f(a): pass"),
        ("def f(*, a, b=1): pass", "def f(*, b=1, a): pass"),
        ("{'a': 1, **b}", "{**b, 'a': 1}"),
        (f"x = {10**400:#x}", f"x = {10**400 + 1:#x}"),
        ("try:\n  a\nexcept A:\n  b", "try:\n  a\nexcept* A:\n  b"),
        ("x = '\\ud800'", "x = '\\ud801'"),
        ("if a:\n  b\nelse:\n  c", "if a:\n  b\nc"),
        ("if a:\n  b\n  c", "if a:\n  b\nc"),
    ],
)
def test_texts_that_look_alike_differ(one: str, other: str) -> None:
    """Also where the type of a constant, or what belongs to what, is all the difference."""
    assert of(one) != of(other)


@pytest.mark.parametrize("text", [b"def f(:", b"x = '\0'", b"\xff", b"x = " + b"(" * 5000, b"# coding: none\n"])
def test_what_does_not_parse_has_the_digest_of_its_bytes(text: bytes) -> None:
    """Not an error, whatever is wrong with it."""
    assert syntax_digest(text) == hashlib.sha256(text).hexdigest()


def test_deep_and_long_texts_are_no_error() -> None:
    """An expression deeper than the recursion limit, and one that warns."""
    deep = "x = " + "+".join(["a"] * 20_000)
    assert of(deep) == of(deep)
    assert of("x = '\\d'") == of("x = '\\\\d'")


@pytest.mark.no_cover  # tracing slows down what is written in Python
def test_a_digest_takes_little_more_than_parsing() -> None:
    """About as long again; four times that here, for a machine that does other things as well."""
    source = Path(module.__file__).read_bytes()

    def best(function: Callable[[bytes], object]) -> float:
        times = []
        for _ in range(7):
            start = time.process_time()
            function(source)
            times.append(time.process_time() - start)
        return min(times)

    assert best(syntax_digest) < 5 * best(ast.parse)


@pytest.mark.parametrize(
    "version", [each if each == "3.13" else pytest.param(each, marks=pytest.mark.full) for each in VERSIONS]
)
def test_the_digest_is_the_same_on_every_python(version: str, workspace: Path) -> None:
    """Of our own code, of the standard library's (as it is here), and of f-strings of every kind."""
    found = sorted(PYENV.glob(f"{version}.*/bin/python3"))
    if not found:
        pytest.skip(f"there is no Python {version} here")
    odd = r"""
x = f'{a}' "b" f"{c!r:>{d}.{e}}{{}}" '' rf"\d{f'{g}'}"
y = f"{a=}, {b = !s}, {c:%Y-%m}" u"é" f'''{
a}'''
z = 1e999, 1e999j, 0.1, 1e-7, "\u0378\U0001fae8", b"\xff", 10**5, ..., "\N{EM DASH}" if 0 else f"\N{EM DASH}{a}"
with (open(a) as b, c): pass
match a:
    case {"k": [1, *_], **r} | B(x=-1.5) | None: pass
"""
    listed = [workspace / "odd.py", *sorted(Path(mdnbench.__file__).parent.glob("*/*.py"))]
    listed += sorted(Path(os.__file__).parent.glob("*.py"))[:60]
    listed[0].write_text(odd, encoding="utf-8")
    script = """
import importlib.util, json, sys
sys.path.insert(0, sys.argv[1])
from mdnbench.registry.syntax_digest import syntax_digest
print(json.dumps([syntax_digest(open(path, "rb").read()) for path in json.load(sys.stdin)]))
"""
    # Of the package only this module is needed: that python has none of what the others import.
    parts = workspace / "parts"
    for name in ("mdnbench/__init__.py", "mdnbench/registry/__init__.py"):
        (parts / name).parent.mkdir(parents=True, exist_ok=True)
        (parts / name).write_text("", encoding="utf-8")
    (parts / "mdnbench/registry/syntax_digest.py").write_bytes(Path(module.__file__).read_bytes())
    done = subprocess.run(
        [found[-1], "-I", "-c", script, parts],
        input=json.dumps([str(path) for path in listed]),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    here = [syntax_digest(path.read_bytes()) for path in listed]
    assert here[0] != hashlib.sha256(listed[0].read_bytes()).hexdigest(), "it must parse"
    assert json.loads(done.stdout) == here
