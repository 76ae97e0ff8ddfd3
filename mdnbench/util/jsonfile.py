"""JSON files: written whole, and read by their shape, with errors that a person can act on.

A shape is a class (or a tuple of classes), a list of one shape, or a dictionary of shapes by key; under the key `str`
stands the shape that all values have. Keys beside those of the shape may be there: later versions add some.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mdnbench.errors import BadFile
from mdnbench.util import atomic, limits, outside

Shape = Any
NUMBER = (int, float)


def read(path: Path, kind: str, shape: Shape) -> Any:
    """The content of a JSON file; BadFile where it is missing, malformed, of another shape, or no file of its size."""
    try:
        return parse(outside.read_bytes(path, limits.MAX_JSON_BYTES).decode("utf-8-sig"), shape)
    except FileNotFoundError:
        raise BadFile(f"there is no {kind} {path}.") from None
    except (OSError, ValueError) as error:
        raise BadFile(f"the {kind} {path} cannot be read: {error}.") from None


def write(path: Path, content: Any) -> None:
    """Write a JSON file whole or not at all; OSError where the system refuses.

    File names may hold bytes that are no UTF-8: these stand as JSON's own escapes, and come back as they were.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with atomic.replacing(path) as part:
        part.write_bytes(text.encode("utf-8", "backslashreplace"))


def parse(text: str, shape: Shape) -> Any:
    """The value that a text stands for; ValueError, in a few words, where it is no JSON or of another shape."""
    if not isinstance(text, str):  # where a value came from a store: json takes bytes too
        raise ValueError("it is no text")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if wrong := fault(found, shape):
        raise ValueError(wrong)
    return found


def fault(value: Any, shape: Shape) -> str:
    """Return the first place in which a value has not its shape, in a few words; '' where it has."""
    return _fault(value, shape, "")


def _fault(value: Any, shape: Shape, where: str) -> str:
    """The first place in which a value has not its shape, or nothing."""
    inner: list[tuple[Any, Shape, str]] | None = None
    if isinstance(shape, list) and isinstance(value, list):
        inner = [(item, shape[0], f"{where}[]") for item in value]
    elif isinstance(shape, dict) and isinstance(value, Mapping):
        inner = list(_inner(value, shape, where))
    elif isinstance(shape, type | tuple) and isinstance(value, shape) and not isinstance(value, bool):
        inner = []
    if inner is None:
        return f"{where.lstrip('.') or 'it'} is {ascii(value)[:40]}"
    return next(filter(None, (_fault(*each) for each in inner)), "")


def _inner(value: Mapping[str, Any], shape: Mapping[Any, Shape], where: str) -> Iterator[tuple[Any, Shape, str]]:
    if str in shape:
        yield from ((item, shape[str], f"{where}.{key}") for key, item in value.items())
    else:
        yield from ((value.get(key), each, f"{where}.{key}") for key, each in shape.items())
