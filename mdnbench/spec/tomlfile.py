"""Read TOML files into frozen dataclasses, with messages that help the user to correct the file."""

from __future__ import annotations

import dataclasses
import sys
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from mdnbench.errors import BadFile, UnknownName
from mdnbench.spec.names import shortened
from mdnbench.util import outside
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
        text = outside.read_bytes(path, MAX_REQUEST_BYTES).decode("utf-8-sig")
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
    """Create a dataclass from a table.

    Nested tables become nested dataclasses, arrays become tuples, and whole numbers are accepted for floats.

    Args:
        record: The dataclass.
        table: The table.
        where: The place of the table for messages.

    Raises:
        UnknownName: The table has a key that the dataclass lacks.
        BadFile: A key is missing, or a value has the wrong type.

    """
    if not isinstance(table, dict):
        raise BadFile(f"{where} must be a table, not {shortened(table)}.")
    hints = typing.get_type_hints(record)
    fields = {field.name: field for field in dataclasses.fields(record)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            raise UnknownName(f"key in {where}", key, fields)
    values = {key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise BadFile(f"{where} lacks the key {name!r}.")
    return record(**values)


def _value(hint: Any, given: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return build(hint, given, where)  # type: ignore[arg-type]
    if origin in (typing.Union, types.UnionType):
        return _union(arguments, given, where)
    if origin is typing.Literal:
        if given in arguments:
            return given
        raise BadFile(f"{where} = {shortened(given)} must be one of {', '.join(map(repr, arguments))}.")
    if origin is not None:
        return _collection(origin, arguments, given, where)
    if hint is float and type(given) is int and abs(given) <= sys.float_info.max:
        return float(given)
    if hint is Any or type(given) is hint:
        return given
    raise BadFile(f"{where} = {shortened(given)} must be {_words(hint)}.")


def _collection(origin: Any, arguments: tuple[Any, ...], given: Any, where: str) -> Any:
    """Return a tuple made from an array, or a dictionary made from a table."""
    if origin is dict and isinstance(given, dict):
        return {key: _value(arguments[1], item, f"{where}.{_shown(key)}") for key, item in given.items()}
    if origin is tuple and isinstance(given, list):
        hints = [arguments[0]] * len(given) if arguments[-1] is ... else arguments
        if len(given) == len(hints):
            return tuple(_value(hint, item, where) for hint, item in zip(hints, given, strict=True))
        raise BadFile(f"{where} = {shortened(given)} must be an array of {len(hints)}.")
    raise BadFile(f"{where} = {shortened(given)} must be {'a table' if origin is dict else 'an array'}.")


def _union(arguments: tuple[Any, ...], given: Any, where: str) -> Any:
    for argument in arguments:
        if argument is type(None):
            continue
        try:
            return _value(argument, given, where)
        except BadFile:
            continue
    raise BadFile(
        f"{where} = {shortened(given)} must be {' or '.join(_words(a) for a in arguments if a is not type(None))}."
    )


def _shown(key: str) -> str:
    """Return a key in the form for messages: quoted if it has characters that cannot be printed."""
    return key if key.isprintable() else repr(key)


def _words(hint: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    if typing.get_origin(hint) is tuple:
        return "an array"
    return names.get(hint, "a table" if dataclasses.is_dataclass(hint) else str(hint))
