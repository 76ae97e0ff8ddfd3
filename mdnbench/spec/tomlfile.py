"""Read TOML files into frozen records, with messages that help the user to correct the file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from mdnbench.errors import BadFile, UnknownName
from mdnbench.util import codec, untrusted
from mdnbench.util.limits import MAX_REQUEST_BYTES

Record = TypeVar("Record")


def read(path: Path, kind: str) -> dict[str, Any]:
    """Return the table in a TOML file.

    Args:
        path: The file.
        kind: The kind of file for messages, for example 'plan'.

    Raises:
        BadFile: The file is missing, cannot be read, or is not valid TOML.
    """
    try:
        text = untrusted.read_bytes(path, MAX_REQUEST_BYTES).decode("utf-8-sig")
        return tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
    except FileNotFoundError:
        raise BadFile(f"there is no {kind} file {path}.") from None
    except RecursionError:
        raise BadFile(f"the {kind} file {path} cannot be read: it is nested too deeply.") from None
    except OSError as error:
        raise BadFile(f"the {kind} file {path} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:  # TOMLDecodeError, or a number with too many digits
        raise BadFile(f"the {kind} file {path} cannot be read: {error}.") from None


def build(record: type[Record], table: dict[str, Any], where: str) -> Record:
    """Return the record that a table describes.

    Nested tables become nested records, arrays become tuples, and whole numbers are accepted for floats.

    Args:
        record: The type of the record.
        table: The table.
        where: The place of the table for messages.

    Raises:
        UnknownName: The table, or one below it, has a key that its record lacks.
        BadFile: A key is missing, or a value has the wrong type.
    """
    for each in codec.unknown_keys(table, record):
        raise UnknownName(f"key in {where}{each.place and ': '}{each.place}", each.key, each.known)
    try:
        return codec.convert(table, record)
    except codec.Misfit as error:
        raise BadFile(f"{where}{': ' if error.place else ''}{error.place} {error.problem}.") from None
