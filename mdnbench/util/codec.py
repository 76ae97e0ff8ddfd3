"""Records from plain values and back: msgspec compares shapes, and this module says in plain words what does not fit.

Plain values are what JSON and TOML know: tables, arrays, texts, numbers, true and false. A record is a frozen
dataclass, or any other type that msgspec converts, such as `dict[str, str]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from mdnbench.util.untrusted import shortened

Record = TypeVar("Record")
Step = str | int | None  # a field's name, the number of an item, or None for a key that msgspec does not name

WORDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text", "array": "an array",
         "object": "a table"}  # fmt: skip
_MESSAGE = re.compile(r"(.*?)(?: - at `\$(.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[\.\.\.\]")
_EXPECTED = re.compile(r"Expected `(.+?)`(?: of length (\d+))?, got .*")
_MISSING = re.compile(r"Object missing required field `(.+)`")


class Misfit(ValueError):
    """A value that does not fit its record: where it is, as `inner.low` or `many[0]`, and what is wrong with it."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place or 'it'} {problem}")
        self.place = place
        self.problem = problem


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A key that the record of its table does not have: the table's place, the key, and the keys that there are."""

    place: str
    key: str
    known: tuple[str, ...]


def convert(plain: Any, kind: type[Record]) -> Record:
    """Return the record of this kind that plain values stand for.

    Arrays become tuples and whole numbers become floats as the record has them. Keys that it does not have are
    ignored: see `unknown_keys`.

    Raises:
        Misfit: if a key is missing, or a value is not of its field's type.

    """
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise _misfit(plain, kind, str(error)) from None


def to_plain(record: Any) -> Any:
    """Return the plain values that stand for a record."""
    return msgspec.to_builtins(record)


def unknown_keys(plain: Any, kind: type) -> Iterator[UnknownKey]:
    """Find the keys in a table, and in the tables below it, that their records do not have."""
    yield from _unknown(plain, _type_of(kind), "")


@lru_cache(maxsize=64)
def _type_of(kind: type) -> Any:
    return inspect.type_info(kind)


def _unknown(plain: Any, found: Any, place: str) -> Iterator[UnknownKey]:
    if hasattr(found, "fields") and isinstance(plain, dict):
        known = tuple(field.encode_name for field in found.fields)
        yield from (UnknownKey(place, key, known) for key in plain if key not in known)
    if _has_plain_values(found):  # any key is allowed, and nothing is below it: the card of weights has hundreds
        return
    for step, value, inner in _parts(plain, found):
        yield from _unknown(value, inner, _joined(place, step))


def _has_plain_values(found: Any) -> bool:
    """Return whether this is the type of a dictionary whose values are texts, numbers, true or false."""
    value = getattr(found, "value_type", None)
    return isinstance(value, inspect.StrType | inspect.FloatType | inspect.IntType | inspect.BoolType)


def _parts(plain: Any, found: Any) -> Iterator[tuple[str | int, Any, Any]]:
    """Yield what is inside a value: its key or number, the value there, and the type that it should have."""
    steps = plain.keys() if isinstance(plain, dict) else range(len(plain)) if isinstance(plain, list) else ()
    for step in steps:
        for inner in _inner(found, step):
            yield step, plain[step], inner


def _inner(found: Any, step: Step) -> list[Any]:
    """Return the types that the value at a step inside a value of this type may have; of a union each one."""
    return [each for inner in _inside(found, step) for each in getattr(inner, "types", (inner,))]


def _inside(found: Any, step: Step) -> list[Any]:
    if hasattr(found, "fields"):
        return [field.type for field in found.fields if field.encode_name == step]
    if hasattr(found, "value_type"):  # a dictionary
        return [] if isinstance(step, int) else [found.value_type]
    if hasattr(found, "item_types"):  # a tuple
        return [found.item_types[step]] if isinstance(step, int) and step < len(found.item_types) else []
    return [found.item_type] if hasattr(found, "item_type") and isinstance(step, int) else []


def _misfit(plain: Any, kind: type, text: str) -> Misfit:
    """Return msgspec's message in our words, with the value that was given."""
    matched = _MESSAGE.fullmatch(text)
    message, way = matched.groups() if matched else (text, None)
    steps = [_step_of(each) for each in _STEP.finditer(way or "")]
    known = _named(plain, kind, steps, text)
    place, value = "", plain
    for step in known:
        place, value = _joined(place, step), value[step]
    if missing := _MISSING.fullmatch(message):
        return Misfit(place, f"lacks the key {missing[1]!r}")
    equals = f"= {shortened(value)} " if place else f"is {shortened(value)} and "
    return Misfit(place, f"{equals}must be {_wanted(message, kind, steps)}")


def _step_of(matched: re.Match[str]) -> Step:
    name, number = matched.groups()
    return name if name is not None else None if number is None else int(number)


def _named(plain: Any, kind: type, steps: Sequence[Step], text: str) -> list[str | int]:
    """Return the steps with the keys of dictionaries, which msgspec leaves out: the first that is refused alone."""
    known: list[str | int] = []
    value = plain
    for step in steps:
        if step is None:
            step = next((key for key in value if _refused(_only(plain, known, key), kind, text)), None)
        if step is None:  # no key is refused alone: the dictionary itself is named
            return known
        known.append(step)
        value = value[step]
    return known


def _only(plain: Any, steps: Sequence[str | int], key: str) -> Any:
    """Return a copy in which the dictionary at the end of the steps has this key alone."""
    if not steps:
        return {key: plain[key]}
    copied = dict(plain) if isinstance(plain, dict) else dict(enumerate(plain))
    copied[steps[0]] = _only(plain[steps[0]], steps[1:], key)
    return copied if isinstance(plain, dict) else list(copied.values())


def _refused(plain: Any, kind: type, text: str) -> bool:
    try:
        msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        return str(error) == text
    return False


def _wanted(message: str, kind: type, steps: Sequence[Step]) -> str:
    if message.startswith("Invalid enum value"):
        return f"one of {', '.join(map(repr, _choices(kind, steps)))}"
    if not (expected := _EXPECTED.fullmatch(message)):
        return "a number" if message == "Number out of range" else f"valid: {message}"
    names, length = expected.groups()
    words = [WORDS.get(name, name) for name in names.split(" | ") if name != "null"]
    if {"int", "float"} <= set(names.split(" | ")):
        words.remove("a whole number")
    return f"an array of {length}" if length else " or ".join(words)


def _choices(kind: type, steps: Sequence[Step]) -> list[Any]:
    found = [_type_of(kind)]
    for step in steps:
        found = [inner for each in found for inner in _inner(each, step)]
    return [value for each in found for value in getattr(each, "values", ())]


def _joined(place: str, step: str | int) -> str:
    if isinstance(step, int):
        return f"{place}[{step}]"
    shown = step if step.isprintable() else repr(step)  # quoted if it would not stand in one line as it is
    return f"{place}.{shown}" if place else shown
