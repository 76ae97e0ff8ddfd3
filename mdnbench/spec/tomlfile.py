"""Reading TOML files into frozen records, with errors that a person can act on."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from mdnbench.errors import BadFile, UnknownName
from mdnbench.util import codec, outside
from mdnbench.util.limits import MAX_REQUEST_BYTES

Record = TypeVar("Record")


def read(path: Path, kind: str) -> dict[str, Any]:
    """Return the table in a TOML file; BadFile if it is missing or malformed."""
    try:
        text = outside.read_bytes(path, MAX_REQUEST_BYTES).decode("utf-8-sig")
        return tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
    except FileNotFoundError:
        raise BadFile(f"there is no {kind} file {path}.") from None
    except RecursionError:
        raise BadFile(f"the {kind} file {path} cannot be read: it is nested too deeply.") from None
    except OSError as error:
        raise BadFile(f"the {kind} file {path} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:  # not TOMLDecodeError alone: a number may have too many digits
        raise BadFile(f"the {kind} file {path} cannot be read: {error}.") from None


def build(record: type[Record], table: dict[str, Any], where: str) -> Record:
    """Return the record that a table stands for.

    Nested records come from nested tables, tuples from arrays, and whole numbers are taken for floats.

    Args:
        record: the record's type.
        table: the table.
        where: what messages call it.

    Raises:
        UnknownName: if the table, or one below it, has a key that its record does not have.
        BadFile: if a key is missing, or a value is not of its field's type.

    """
    for each in codec.unknown_keys(table, record):
        raise UnknownName(f"key in {where}{each.place and ': '}{each.place}", each.key, each.known)
    try:
        return codec.convert(table, record)
    except codec.Misfit as error:
        raise BadFile(f"{where}{': ' if error.place else ''}{error.place} {error.problem}.") from None
