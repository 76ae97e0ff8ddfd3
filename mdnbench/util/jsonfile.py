"""JSON files: written whole, and read into records, with errors that a person can act on.

Python's own parser reads the text, because names in it may hold bytes that are no UTF-8, which msgspec's refuses; the
shape is compared by msgspec. Keys that a record does not have are ignored.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from mdnbench.errors import BadFile
from mdnbench.util import atomic, codec, limits, outside

Record = TypeVar("Record")


def read(path: Path, what: str, kind: type[Record]) -> Record:
    """Return the record in a JSON file.

    Args:
        path: the file.
        what: what messages call it.
        kind: the record's type.

    Raises:
        BadFile: if the file is missing, malformed, too large, or does not fit the record.

    """
    try:
        return parse(outside.read_bytes(path, limits.MAX_JSON_BYTES).decode("utf-8-sig"), kind)
    except FileNotFoundError:
        raise BadFile(f"there is no {what} {path}.") from None
    except (OSError, ValueError) as error:
        raise BadFile(f"the {what} {path} cannot be read: {error}.") from None


def write(path: Path, content: Any) -> None:
    """Write a record as a JSON file, whole or not at all; OSError if the system refuses.

    File names may hold bytes that are no UTF-8: these stand as JSON's own escapes, and come back as they were.
    """
    text = json.dumps(codec.to_plain(content), indent=2, ensure_ascii=False) + "\n"
    with atomic.replacing(path) as part:
        part.write_bytes(text.encode("utf-8", "backslashreplace"))


def text_of(record: Any, *, sort_keys: bool = False) -> str:
    """Return a record as one line of JSON."""
    return json.dumps(codec.to_plain(record), sort_keys=sort_keys)


def parse(text: str, kind: type[Record]) -> Record:
    """Return the record that a text stands for; ValueError, in a few words, if it is no JSON or does not fit."""
    if not isinstance(text, str):  # a value of a store may be bytes, which json would take
        raise ValueError("it is no text")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    return codec.convert(found, kind)
