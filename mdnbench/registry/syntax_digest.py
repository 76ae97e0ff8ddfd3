"""Compute the syntax digest of a Python text, which is the same for all texts with the same code.

Comments, docstrings and layout do not count. The digest is the same on every Python from 3.11 on. This module imports
nothing from mdnbench.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Fields that are not code: hints for type checkers, the prefix of u"", and the use of a name, which follows from its
# position.
_LEFT_OUT = {"ctx", "kind", "type_comment", "type_ignores"}
_BLOCKS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Syntax:
    """The digest of a Python text's code, and the modules that its import statements name."""

    code: str
    imports: tuple[str, ...]


def syntax_digest(source: bytes) -> str:
    """Return the digest of a Python text's code, which is the same on every Python from 3.11 on.

    Comments, docstrings and layout do not count. If the text cannot be parsed, it is the digest of its bytes.
    """
    return syntax_of(source).code


def syntax_of(source: bytes) -> Syntax:
    """Return the syntax of a Python text; if it cannot be parsed, its digest is that of its bytes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings raised as errors would count as syntax errors
            tree = ast.parse(source)
        return _walked(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # MemoryError: nested too deep for the parser
        return Syntax(hashlib.sha256(source).hexdigest(), ())


def _walked(tree: ast.Module) -> Syntax:
    """Write the syntax tree as text, without recursion, and compute the digest of that text.

    `ast.dump` cannot be used because its output differs between versions of Python. Here, fields that are None or empty
    are left out, so a field that a later Python adds changes nothing while it is not used. Each node is one line: its
    type, its plain values, and for each field with nodes their number. These nodes follow, the last one first.
    """
    lines = ["mdnbench-syntax-1"]
    imports: set[str] = set()
    waiting: list[ast.AST | None] = [tree]
    while waiting:
        node = waiting.pop()
        kind = type(node)
        if kind is ast.Name:  # the two most common types first
            lines.append("Name " + node.id)  # type: ignore[union-attr]
        elif kind is ast.Constant:
            lines.append(_constant(node.value))  # type: ignore[union-attr]
        elif node is None:
            lines.append("None")  # for `**` in a dictionary, or a keyword argument without default
        else:
            if kind is ast.Import or kind is ast.ImportFrom:
                imports.update(_imported(node))
            lines.append(_line(node, waiting))
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    return Syntax(hashlib.sha256(text).hexdigest(), tuple(sorted(imports)))


def _line(node: ast.AST, waiting: list[ast.AST | None]) -> str:
    """Return the line of a node, and append the nodes that it contains to `waiting`."""
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
            line += f" {name}={','.join(value) if isinstance(value, list) else value}"  # identifiers or a number
    return line


@functools.cache
def _fields(kind: Any) -> tuple[tuple[str, Callable[[Any], Any] | None], ...]:
    """Return the fields that count, in the same order in every version.

    Each field has a function that makes its value equal in all versions, or None if none is needed.
    """
    shared: dict[str, Callable[[Any], Any]] = {}
    if issubclass(kind, _BLOCKS):
        shared = {"body": _without_docstring}
    elif issubclass(kind, ast.JoinedStr):
        shared = {"values": _joined}
    elif issubclass(kind, ast.FormattedValue):
        shared = {"format_spec": _format}
    return tuple((name, shared.get(name)) for name in sorted(set(kind._fields) - _LEFT_OUT))


def _imported(node: ast.AST) -> list[str]:
    """Return the modules that an import statement names, without relative ones, which are files of the same package."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def _format(node: ast.FormattedValue) -> ast.expr | None:
    """Return the format of a value in an f-string; None for an empty format, as in f"{x:}"."""
    found = node.format_spec
    return found if not isinstance(found, ast.JoinedStr) or _joined(found) else None


def _without_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    first = node.body[0].value if node.body and isinstance(node.body[0], ast.Expr) else None
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
        return node.body
    if len(node.body) == 1 and not isinstance(node, ast.Module):
        return [ast.Pass()]  # the body had nothing but its docstring
    return node.body[1:]


def _joined(node: ast.JoinedStr) -> list[ast.expr]:
    """Return the parts of an f-string with adjacent texts joined, because versions of Python split them differently."""
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
    """Return a constant as type and value.

    `repr` is not used for text, because versions of Python escape different characters.
    """
    if isinstance(value, str):
        return f"str {len(value)} {value}"
    if isinstance(value, bytes):
        return f"bytes {value.hex()}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"int {value:x}"  # hexadecimal, because Python limits the length of decimal numbers
    return f"{type(value).__name__} {value!r}"
