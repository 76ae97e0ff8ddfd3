"""Write JSON files atomically, and read them into records.

Python's own parser reads the text, because names in it may contain bytes that are not UTF-8, which msgspec refuses.
msgspec then checks the types. Keys that a record lacks are ignored.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from mdnbench.errors import BadFile
from mdnbench.util import atomic, codec, limits, untrusted

Record = TypeVar("Record")


def read(path: Path, what: str, kind: type[Record]) -> Record:
    """Return the record in a JSON file.

    Args:
        path: The file.
        what: What the file is, for messages.
        kind: The type of the record.

    Raises:
        BadFile: The file is missing, malformed, too large, not a regular file, or does not fit the record.
    """
    try:
        return parse(untrusted.read_bytes(path, limits.MAX_JSON_BYTES).decode("utf-8-sig"), kind)
    except FileNotFoundError:
        raise BadFile(f"there is no {what} {path}.") from None
    except (OSError, ValueError) as error:
        raise BadFile(f"the {what} {path} cannot be read: {error}.") from None


def write(path: Path, content: Any) -> None:
    """Write a record as a JSON file, atomically.

    Bytes in file names that are not UTF-8 become escapes of JSON, and are restored when the file is read.

    Raises:
        OSError: The system refuses to write.
    """
    text = json.dumps(codec.to_plain(content), indent=2, ensure_ascii=False) + "\n"
    with atomic.replacing(path) as part:
        part.write_bytes(text.encode("utf-8", "backslashreplace"))


def text_of(record: Any, *, sort_keys: bool = False) -> str:
    """Return a record as one line of JSON."""
    return json.dumps(codec.to_plain(record), sort_keys=sort_keys)


def parse(text: str, kind: type[Record]) -> Record:
    """Return the record that a JSON text describes.

    Raises:
        ValueError: The text is not JSON or does not fit the record; the message is a few words.
    """
    if not isinstance(text, str):  # a value of a store may be bytes, which json would take
        raise ValueError("it is no text")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    return codec.convert(found, kind)
