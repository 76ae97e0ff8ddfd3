"""Sweeps: methods or noises as tables of options, each with one value or several, and a name for every combination."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from mdnbench.errors import BadFile
from mdnbench.names import Value, show

KEYS = ("methods", "noise")


def names_in(key: str, table: Mapping[str, Any], where: str) -> list[str]:
    """The names that a table stands for: `{"bm3d": {"profile": ["np", "lc"]}}` is bm3d[profile=np], bm3d[profile=lc].

    `key` is 'methods' or 'noise'. The first option varies slowest. BadFile where a value could not be written as text;
    whether there is such an option, and whether it takes the value, is looked up when the names are.
    """
    return [_name(key, name, pairs) for name, options in table.items() for pairs in _pairs(key, name, options, where)]


def _pairs(key: str, name: str, options: Any, where: str) -> Iterator[tuple[tuple[str, str], ...]]:
    """Every combination of options, as pairs of option and text."""
    if not isinstance(options, Mapping):
        raise BadFile(f"{where}: {key}.{name} = {options!r} must be a table of options: {name} = {{ option = value }}.")
    axes = []
    for option, given in options.items():
        values = list(given) if isinstance(given, list | tuple) else [given]
        if not values:
            raise BadFile(f"{where}: {key}.{name}.{option} is an empty list; give at least one value.")
        axes.append([(option, _text(value, f"{where}: {key}.{name}.{option}")) for value in values])
    return itertools.product(*axes)


def _text(value: Value, where: str) -> str:
    plain = isinstance(value, bool | int | float | str) and not set(str(value)) & set("[],=")
    if not plain or (isinstance(value, float) and not math.isfinite(value)):
        raise BadFile(f"{where} = {value!r} must be a number, true or false, or a text without '[', ']', ',' and '='.")
    return show(value)


def _name(key: str, name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    body = ",".join(f"{option}={text}" for option, text in pairs)
    if not body:
        return name
    return f"{name}[{body}]" if key == "methods" else f"{name}:{body}"
