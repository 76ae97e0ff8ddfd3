"""Write JSON files atomically, and read them with a check of their shape.

A shape is a class (or a tuple of classes), a list of one shape, or a dictionary of shapes by key. A dictionary with the
key `str` gives the shape of all values. Other keys than those of the shape are allowed, because later versions may add
some.
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
    """Return the content of a JSON file.

    Args:
        path: The file.
        kind: The kind of file for messages.
        shape: The shape that the content must have.

    Raises:
        BadFile: The file is missing, malformed, too large, not a regular file, or has another shape.

    """
    try:
        return parse(outside.read_bytes(path, limits.MAX_JSON_BYTES).decode("utf-8-sig"), shape)
    except FileNotFoundError:
        raise BadFile(f"there is no {kind} {path}.") from None
    except (OSError, ValueError) as error:
        raise BadFile(f"the {kind} {path} cannot be read: {error}.") from None


def write(path: Path, content: Any) -> None:
    """Write a JSON file atomically.

    Bytes in file names that are not UTF-8 become escapes of JSON, and are restored when the file is read.

    Raises:
        OSError: The system refuses to write.

    """
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with atomic.replacing(path) as part:
        part.write_bytes(text.encode("utf-8", "backslashreplace"))


def parse(text: str, shape: Shape) -> Any:
    """Return the value that a JSON text means.

    Raises:
        ValueError: The text is not JSON or has another shape; the message is a few words.

    """
    if not isinstance(text, str):  # values from a store may be bytes, which json would accept
        raise ValueError("it is no text")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if wrong := fault(found, shape):
        raise ValueError(wrong)
    return found


def fault(value: Any, shape: Shape) -> str:
    """Return the first place at which a value differs from its shape, in a few words; '' if it does not differ."""
    return _fault(value, shape, "")


def _fault(value: Any, shape: Shape, where: str) -> str:
    """Return the first place at which a value differs from its shape; '' if it does not differ."""
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
