"""Validate the fields of specs when their plugin is loaded, rather than when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from mdnbench.errors import BadPlugin, likeliest
from mdnbench.registry import variants
from mdnbench.spec import names
from mdnbench.spec.names import Option
from mdnbench.spec.specs import (
    DatasetSpec,
    DenoiserSpec,
    Direction,
    MetricSetting,
    MetricSpec,
    NoiseSpec,
    ReporterSpec,
    Split,
    Trainable,
    Wants,
)

# The columns of `cells.csv` and of `Results.table` other than those of metrics.
COLUMNS = (
    "dataset", "image", "noise", "seed", "method", "status", "reason", "seconds", "noise_info", "weights",
    "image_digest", "noisy_digest", "output_digest", "output", "ok", "total",
)  # fmt: skip
UNWRITABLE = "[],= "
NUMBERS = (bool, int, float)


@dataclass(frozen=True, slots=True)
class FieldRule:
    """The values that a field takes: a description, a test, and the list of choices if there is one."""

    takes: str
    allows: Callable[[Any], bool]
    choices: tuple[str, ...] = ()


def check(record: type, spec: Any) -> None:
    """Validate a spec.

    Args:
        record: The spec's class, which determines the rules.
        spec: The spec.

    Raises:
        BadPlugin: A field has a value that could not be used; the message names the field and what it takes.

    """
    names.check_declared(spec.name)
    for field, rule in RULES[record].items():
        value = getattr(spec, field)
        if not rule.allows(value):
            meant = likeliest(str(value), rule.choices)
            raise BadPlugin(f"{spec.name}: {field}={value!r} is not allowed; {field} takes {rule.takes}.{meant}")
    options = _options(spec)
    for option in options:
        _check_type(spec, option)
        _check_default(spec, option)
    _check_names(spec, "option", [option.name for option in options])
    _check_names(spec, "setting", [setting.name for setting in getattr(spec, "settings", ())])


def _options(spec: Any) -> tuple[Option, ...]:
    """Return the options that a user can give for a spec, including those that mdnbench adds to a method's own."""
    if isinstance(spec, DenoiserSpec):
        return variants.options_of(spec)
    return tuple(getattr(spec, "parameters", getattr(spec, "options", ())))


def _check_type(spec: Any, option: Option) -> None:
    allowed = NUMBERS if isinstance(spec, NoiseSpec) else (*NUMBERS, str)
    if option.type not in allowed:
        takes = ", ".join(each.__name__ for each in allowed)
        raise BadPlugin(
            f"{spec.name}: {option.name!r} of type={option.type!r} is not allowed; type takes one of {takes}."
        )


def _check_default(spec: Any, option: Option) -> None:
    """Raise BadPlugin for a default or choice that the option does not allow, and for bounds that allow nothing."""
    if None not in (option.minimum, option.maximum) and option.minimum > option.maximum:  # type: ignore[operator]
        raise BadPlugin(
            f"{spec.name}: {option.name!r} runs from minimum={option.minimum} to maximum={option.maximum}, which "
            "leaves nothing; exchange them."
        )
    for field, values in (("default", (option.default,)), ("choices", option.choices)):
        for value in values:
            if value is not None and not option.allows(value):
                raise BadPlugin(
                    f"{spec.name}: {field} {value!r} of {option.name!r} is not allowed; {option.name} takes "
                    f"{option.takes()}."
                )


def _check_names(spec: Any, noun: str, given: Iterable[object]) -> None:
    """Raise BadPlugin for names that occur twice or cannot be written after a spec's name, as in `name[option=1]`."""
    seen: set[object] = set()
    for name in given:
        if not isinstance(name, str) or not name or not name.isprintable() or set(name) & set(UNWRITABLE):
            raise BadPlugin(f"{spec.name}: no {noun} can be named {name!r}; leave out '[', ']', ',', '=' and spaces.")
        if name in seen:
            raise BadPlugin(f"{spec.name}: two {noun}s are named {name!r}; rename one.")
        seen.add(name)


def _one_of(literal: object) -> FieldRule:
    choices = get_args(literal)
    return FieldRule(f"one of {', '.join(map(repr, choices))}", lambda value: value in choices, choices)


def _tuple_of(kind: str, example: str, allows: Callable[[Any], bool]) -> FieldRule:
    return FieldRule(
        f"a tuple of {kind}, as {example}", lambda value: isinstance(value, tuple) and all(map(allows, value))
    )


def _whole(value: object, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_path(value: object) -> bool:
    return isinstance(value, str | Path) and bool(str(value).strip()) and "\0" not in str(value)


def _is_trainable(value: object) -> bool:
    if not isinstance(value, Trainable):
        return value is None
    return isinstance(value.recipes, Path) and isinstance(value.weights, Path) and callable(value.network)


TEXT = FieldRule("a text, which may be empty", lambda value: isinstance(value, str))
CALL = FieldRule("a function", callable)
REVISION = FieldRule("a text that is not empty, as '1'", _is_text)
PACKAGES = _tuple_of("the names of distributions", "('scipy',)", _is_text)
FILES = _tuple_of("paths", "('table.bin',)", _is_path)
OPTIONS = _tuple_of("Option", "(option,)", lambda value: isinstance(value, Option))

RULES: Mapping[type, Mapping[str, FieldRule]] = {
    DenoiserSpec: {
        "revision": REVISION,
        "options": OPTIONS,
        "wants": _one_of(Wants),
        "channels": FieldRule("(1,), (3,) or (1, 3)", lambda value: value in ((1,), (3,), (1, 3), (3, 1))),
        "packages": PACKAGES,
        "summary": TEXT,
        "licence": TEXT,
        "citation": TEXT,
        "build": CALL,
        "trainable": FieldRule("a Trainable with its folders as Path, or None", _is_trainable),
        "files": FILES,
        "stabilise": FieldRule("True, False or None", lambda value: value is None or isinstance(value, bool)),
        "prepare": FieldRule("a function, or None", lambda value: value is None or callable(value)),
    },
    NoiseSpec: {"revision": REVISION, "parameters": OPTIONS, "apply": CALL, "std": CALL, "files": FILES},
    DatasetSpec: {
        "split": _one_of(Split),
        "channels": FieldRule("1 or 3, or 0 where images differ", lambda value: _whole(value) and value in (0, 1, 3)),
        "images": _tuple_of("ids", "('01', '02')", _is_text),
        "load": CALL,
    },
    MetricSpec: {
        "name": FieldRule(f"none of the tables' columns {', '.join(COLUMNS)}", lambda value: value not in COLUMNS),
        "revision": REVISION,
        "direction": _one_of(Direction),
        "digits": FieldRule("a whole number of at least 0", _whole),
        "tolerance": FieldRule("a number of at least 0", lambda value: isinstance(value, int | float) and value >= 0),
        "min_size": FieldRule("a whole number of at least 1", lambda value: _whole(value, 1)),
        "packages": PACKAGES,
        "build": CALL,
        "settings": _tuple_of("MetricSetting", "(setting,)", lambda value: isinstance(value, MetricSetting)),
        "files": FILES,
    },
    ReporterSpec: {"options": OPTIONS, "write": CALL},
}
