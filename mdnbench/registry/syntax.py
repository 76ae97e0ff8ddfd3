"""The syntax digest of a Python text: whether its code is the same, in whatever form it is written.

Comments, docstrings and layout do not count, and the digest is the same on every Python from 3.11 on. This module
imports nothing of mdnbench.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# What is not code: places, hints for type checkers, the prefix of u"", and what follows from the place of a name.
_LEFT_OUT = {"ctx", "kind", "type_comment", "type_ignores"}
_BLOCKS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Syntax:
    """The digest of a Python text's code, and the modules that its import statements name."""

    code: str
    imports: tuple[str, ...]


def syntax_digest(source: bytes) -> str:
    """Return the digest of a Python text's code, the same on every Python from 3.11 on.

    Comments, docstrings and layout do not count. A text that does not parse here has the digest of its bytes.
    """
    return syntax_of(source).code


def syntax_of(source: bytes) -> Syntax:
    """Return the syntax of a Python text; a text that does not parse here has the digest of its bytes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as errors they would be taken for errors of syntax
            tree = ast.parse(source)
        return _walked(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # MemoryError: nested too deep for the parser
        return Syntax(hashlib.sha256(source).hexdigest(), ())


def _walked(tree: ast.Module) -> Syntax:
    """Write the tree down as text, without recursion, and digest that.

    `ast.dump` will not do: it differs between versions. Here fields that are None or empty are left out, so that a
    field that a later Python adds changes nothing while it is not used. Each node is one line: its type, its plain
    values, and which fields hold how many nodes; these follow, the last one first.
    """
    lines = ["mdnbench-syntax-1"]
    imports: set[str] = set()
    waiting: list[ast.AST | None] = [tree]
    while waiting:
        node = waiting.pop()
        kind = type(node)
        if kind is ast.Name:  # the commonest two first
            lines.append("Name " + node.id)  # type: ignore[union-attr]
        elif kind is ast.Constant:
            lines.append(_constant(node.value))  # type: ignore[union-attr]
        elif node is None:
            lines.append("None")  # `**` in a dictionary, a keyword argument without default
        else:
            if kind is ast.Import or kind is ast.ImportFrom:
                imports.update(_imported(node))
            lines.append(_line(node, waiting))
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    return Syntax(hashlib.sha256(text).hexdigest(), tuple(sorted(imports)))


def _line(node: ast.AST, waiting: list[ast.AST | None]) -> str:
    """The line of a node; the nodes that it holds join those that wait."""
    kind: Any = type(node)
    line: str = kind.__name__
    for name, shared in _fields(kind):
        value = getattr(node, name, None)
        if shared:
            value = shared(node)
        if value is None or value == []:
            continue
        if isinstance(value, ast.AST):
            waiting.append(value)
            line += f" .{name}"
        elif isinstance(value, list) and not isinstance(value[0], str):
            waiting += value
            line += f" .{name}[{len(value)}"
        else:
            line += f" {name}={','.join(value) if isinstance(value, list) else value}"  # identifiers, or a number
    return line


@functools.cache
def _fields(kind: Any) -> tuple[tuple[str, Callable[[Any], Any] | None], ...]:
    """The fields that count, in an order that no version changes, and what makes a field equal in all versions."""
    shared: dict[str, Callable[[Any], Any]] = {}
    if issubclass(kind, _BLOCKS):
        shared = {"body": _without_docstring}
    elif issubclass(kind, ast.JoinedStr):
        shared = {"values": _joined}
    elif issubclass(kind, ast.FormattedValue):
        shared = {"format_spec": _format}
    return tuple((name, shared.get(name)) for name in sorted(set(kind._fields) - _LEFT_OUT))


def _imported(node: ast.AST) -> list[str]:
    """The modules that an import statement names; relative ones are files of the same package."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def _format(node: ast.FormattedValue) -> ast.expr | None:
    """The format of a value in an f-string; an empty one, as in f"{x:}", is none."""
    found = node.format_spec
    return found if not isinstance(found, ast.JoinedStr) or _joined(found) else None


def _without_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    first = node.body[0].value if node.body and isinstance(node.body[0], ast.Expr) else None
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
        return node.body
    if len(node.body) == 1 and not isinstance(node, ast.Module):
        return [ast.Pass()]  # a body that was nothing but its docstring
    return node.body[1:]


def _joined(node: ast.JoinedStr) -> list[ast.expr]:
    """The parts of an f-string; adjacent texts are one (the versions split them differently)."""
    parts: list[ast.expr] = []
    text = ""
    for part in node.values:
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            text += part.value
            continue
        if text:
            parts.append(ast.Constant(text))
            text = ""
        parts.append(part)
    if text:
        parts.append(ast.Constant(text))
    return parts


def _constant(value: object) -> str:
    """A constant by type and value; no `repr` of text, for which characters it escapes depends on the version."""
    if isinstance(value, str):
        return f"str {len(value)} {value}"
    if isinstance(value, bytes):
        return f"bytes {value.hex()}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"int {value:x}"  # decimal digits have a limit
    return f"{type(value).__name__} {value!r}"
