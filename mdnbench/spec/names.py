"""Names with options: `gaussian:sigma=50`, `gaussian:50`, `bm3d[profile=lc]`.

The command line, plan files, tables and keys use the same grammar. A noise has its parameters after a colon, a method
has its options in square brackets. Both are parsed against the options that the plugin declares. The canonical text has
the options in declared order, leaves defaults out, and writes numbers in their shortest form, so names with the same
meaning have the same text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mdnbench.errors import BadOption, BadPlugin, UnknownName, likeliest

Value = bool | int | float | str

ALL = "all"  # means every method or every metric

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a method or one parameter of a noise.

    Attributes:
        name: The name.
        type: bool, int, float or str.
        default: The default; None means that the user must give a value.
        help: A description for the user.
        unit: The unit for the user.
        choices: The allowed values; empty if all values of the type are allowed.
        minimum: The smallest allowed value, inclusive.
        maximum: The largest allowed value, inclusive.

    """

    name: str
    type: type[Any]
    default: Value | None = None
    help: str = ""
    unit: str = ""
    choices: tuple[Value, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    def parse(self, given: object, owner: str) -> Value:
        """Return the value that a given text or number means.

        Args:
            given: Text from the command line, or a value from a file.
            owner: The method or noise, for the message of an error.

        Raises:
            BadOption: The option does not take this value.

        """
        value = self._convert(given)
        if value is None or not self._allows(value):
            meant = likeliest(str(given), map(show, self.choices))
            raise BadOption(f"{owner}: {self.name}={given} is not allowed; {self.name} takes {self.takes()}.{meant}")
        return value

    def takes(self) -> str:
        """Return a description of the allowed values, for example `one of np, lc` or `a number from 0 to 255`."""
        unit = f" ({self.unit})" if self.unit else ""
        if self.choices:
            return "one of " + ", ".join(show(choice) for choice in self.choices) + unit
        noun = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[self.type]
        low = None if self.minimum is None else show(float(self.minimum))
        high = None if self.maximum is None else show(float(self.maximum))
        match low, high:
            case None, None:
                span = ""
            case _, None:
                span = f" of at least {low}"
            case None, _:
                span = f" of at most {high}"
            case _:
                span = f" from {low} to {high}"
        return noun + span + unit

    def _convert(self, given: object) -> Value | None:
        text = str(given).strip()
        if self.type is bool:
            return text.lower() in _TRUE if text.lower() in _TRUE | _FALSE else None
        if self.type is str:
            return text
        try:
            if self.type is int:
                return _whole(text)
            number = float(text)
        except ValueError:
            return None
        # Adding 0.0 turns minus zero into zero, which has the same text and key.
        return number + 0.0 if math.isfinite(number) else None

    def fallback(self) -> Value | None:
        """Return the default converted to the option's type; a plugin may write 1 for 1.0."""
        return None if self.default is None else self._convert(self.default)

    def allows(self, value: Value) -> bool:
        """Return whether the option takes this value, or takes it after conversion."""
        converted = self._convert(value)
        return converted is not None and self._allows(converted)

    def _allows(self, value: Value) -> bool:
        if self.choices and value not in self.choices:
            return False
        if isinstance(value, str):
            return bool(value) and not set(value) & set("[],=") and value.isprintable()
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)


@dataclass(frozen=True, slots=True)
class Named:
    """A parsed name: every declared option with its value, and the canonical text."""

    name: str
    options: tuple[tuple[str, Value], ...]
    text: str

    def __str__(self) -> str:
        return self.text

    def values(self) -> dict[str, Value]:
        """Return the options as a dictionary, defaults included."""
        return dict(self.options)

    def numbers(self) -> dict[str, float]:
        """Return the numeric options as floats, which is the form that noises take."""
        return {key: float(value) for key, value in self.options if not isinstance(value, str)}


def show(value: Value) -> str:
    """Return a value in its shortest form: `50` for 50.0, `true` for True."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and abs(value) < 1e16 else repr(value)
    return str(value)


def _whole(text: str) -> int | None:
    """Return the whole number that a text means exactly (`7`, `7.0`, `1e3`), or None if it means none (`7.5`)."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return int(number) if math.isfinite(number) and number == int(number) else None


def printable(text: str) -> str:
    """Return a text in one line that is safe to print; control characters are written as Python escapes."""
    if text.isprintable():  # nearly every text, and it is called for each word of a table
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def with_commas(number: int) -> str:
    """Return a whole number as `1,234`, or as `about 10^40` if it has more than 18 digits."""
    return f"{number:,}" if abs(number) < 10**18 else f"about 10^{math.log10(abs(number)):.0f}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 run`, `2 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def split_noise(text: str) -> tuple[str, dict[str, str]]:
    """Split `name:key=value,…` or `name:value` into the name and its parameters; a bare value has the key ''.

    Raises:
        BadOption: The text is not the name of a single noise.

    """
    name, colon, rest = text.strip().partition(":")
    if ":" in rest:
        raise BadOption(f"{text!r} is more than one noise; give each its own --noise, or a list in a plan file.")
    return _checked(name, text), _pairs(rest, text) if colon else {}


def split_method(text: str) -> tuple[str, dict[str, str]]:
    """Split `name[key=value,…]` into the name and its options.

    Raises:
        BadOption: The text is not a name, or its closing bracket is missing.

    """
    name, bracket, rest = text.strip().partition("[")
    if bracket and not rest.endswith("]"):
        raise BadOption(f"{text!r} lacks its closing bracket; write name[option=value,option=value].")
    return _checked(name, text), _pairs(rest[:-1], text) if bracket else {}


def split_list(text: str) -> list[str]:
    """Split a text at the commas outside brackets: `bm3d[a=1,b=2],nlm` is two names."""
    parts, end, inside = [], len(text), False
    # From the end: a comma is inside brackets if the next bracket is a closing one.
    for place in range(len(text) - 1, -1, -1):
        sign = text[place]
        if sign in "[]":
            inside = sign == "]"
        elif sign == "," and not inside:
            parts.append(text[place + 1 : end])
            end = place
    parts.append(text[:end])
    return [part.strip() for part in reversed(parts) if part.strip()]


def resolve(kind: str, name: str, given: dict[str, Any], declared: Sequence[Option]) -> Named:
    """Match given options with the declared ones.

    Args:
        kind: The kind of the named object for messages. For 'noise' the canonical text has the form of a noise.
        name: The name of the method, noise or reporter.
        given: The given options by name; a bare value has the key ''.
        declared: The options that the plugin declares.

    Raises:
        UnknownName: An option is not declared.
        BadOption: A value is not allowed, is given twice, or is missing.

    """
    given = dict(given)
    if "" in given and len(declared) == 1:
        if declared[0].name in given:
            raise BadOption(f"{kind} {name!r} is given {declared[0].name} twice.")
        given[declared[0].name] = given.pop("")
    known = [option.name for option in declared]
    for key in given:
        if key == "":
            keys = ", ".join(f"{option.name}=…" for option in declared)
            wanted = f"write them by name: {keys}" if declared else "it takes none"
            raise BadOption(f"{kind} {name!r} has {len(declared)} options, and a bare value names none; {wanted}.")
        if key not in known:
            raise UnknownName(f"option of {kind} {name!r}", key, known)
    values, parts = [], []
    for option in declared:
        default = option.fallback()
        if option.name in given:
            value = option.parse(given[option.name], f"{kind} {name!r}")
        elif default is None:
            raise BadOption(f"{kind} {name!r} needs {option.name}: {option.takes()}.")
        else:
            value = default
        values.append((option.name, value))
        if value != default:
            parts.append(f"{option.name}={show(value)}")
    body = ",".join(parts)
    text = f"{name}:{body}" if kind == "noise" else f"{name}[{body}]"
    return Named(name, tuple(values), text if parts else name)


def check_declared(name: object) -> None:
    """Raise BadPlugin for the name of a spec that a user could not write."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == ALL:
        raise BadPlugin(
            f"{name!r} cannot be a name; names are lower-case letters, digits, '-', '_' and '.', and not {ALL!r}."
        )


def _checked(name: str, text: str) -> str:
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise BadOption(f"{text!r} is not a name; names are lower-case letters, digits, '-', '_' and '.'.")
    return name


def _pairs(text: str, whole: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        key, value = (key.strip(), value.strip()) if equals else ("", key.strip())
        if key in pairs:
            raise BadOption(f"{whole!r} gives {key or 'a bare value'} twice.")
        pairs[key] = value
    return pairs
