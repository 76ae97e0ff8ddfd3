"""Expand sweeps: tables of options with one or several values become names, one for every combination."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mdnbench.errors import BadFile
from mdnbench.spec.names import Value, show, with_commas
from mdnbench.util.limits import LONGEST_NAME, LONGEST_NUMBER, MAX_NAMES
from mdnbench.util.untrusted import shortened

KEYS = ("methods", "noise")


def names_in(key: str, table: Mapping[str, Any], where: str) -> list[str]:
    """Return the names that a table means.

    `{"bm3d": {"profile": ["np", "lc"]}}` means bm3d[profile=np] and bm3d[profile=lc]. The first option varies slowest.
    Whether there is such an option, and whether it takes the value, is checked when the names are looked up.

    Args:
        key: 'methods' or 'noise'.
        table: The options by name, each with one value or several.
        where: The place of the table for messages.

    Raises:
        BadFile: A value cannot be written as text, or there are too many combinations.

    """
    grids = {name: _values(key, name, options, where) for name, options in table.items()}
    size = sum(math.prod(map(len, values.values())) for values in grids.values())
    if size > MAX_NAMES:
        raise BadFile(
            f"{where}: the tables of {key} make {with_commas(size)} combinations, and at most {MAX_NAMES:,} are "
            "allowed. Give fewer values, or several plans."
        )
    names = []
    for name, values in grids.items():
        axes = [_axis(option, given, f"{where}: {key}.{name}.{option}") for option, given in values.items()]
        names += [_name(key, name, pairs) for pairs in itertools.product(*axes)]
    return names


def _axis(option: str, values: Sequence[Value], where: str) -> list[tuple[str, str]]:
    """Return the values of an option as pairs of option and text."""
    return [(option, _text(value, where)) for value in values]


def _values(key: str, name: str, options: Any, where: str) -> dict[str, Sequence[Value]]:
    """Return the values of each option as they were given."""
    if not isinstance(options, Mapping):
        raise BadFile(
            f"{where}: {key}.{name} = {shortened(options)} must be a table of options: {name} = {{ option = value }}."
        )
    found: dict[str, Sequence[Value]] = {}
    for option, given in options.items():
        values = given if isinstance(given, list | tuple) else [given]
        if not values:
            raise BadFile(f"{where}: {key}.{name}.{option} is an empty list; give at least one value.")
        if len(values) > MAX_NAMES:
            raise BadFile(
                f"{where}: {key}.{name}.{option} has {len(values):,} values, and at most {MAX_NAMES:,} are allowed."
            )
        found[option] = values
    return found


def _text(value: Value, where: str) -> str:
    if isinstance(value, str):
        plain = len(value) <= LONGEST_NAME and not set(value) & set("[],=")
    elif isinstance(value, float):
        plain = math.isfinite(value)
    else:
        plain = isinstance(value, int) and value.bit_length() <= LONGEST_NUMBER
    if not plain:
        raise BadFile(
            f"{where} = {shortened(value)} must be a number, true or false, or a text without '[', ']', ',' and '='."
        )
    return show(value)


def _name(key: str, name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    body = ",".join(f"{option}={text}" for option, text in pairs)
    if not body:
        return name
    return f"{name}[{body}]" if key == "methods" else f"{name}:{body}"
