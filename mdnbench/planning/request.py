"""Define a request: the keys that the command line, a plan file and the Python API share."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from mdnbench.data import gray
from mdnbench.errors import BadOption
from mdnbench.planning import sweeps
from mdnbench.spec import tomlfile
from mdnbench.spec.names import split_list
from mdnbench.spec.records import NoiseInfoSource
from mdnbench.util import limits
from mdnbench.util.untrusted import shortened

KeepImages = Literal["first-seed", "all", "none"]
EngineName = Literal["local", "dask"]

RANGES = {
    "seeds": (1, limits.MAX_SEEDS),
    "jobs": (0, limits.MAX_JOBS),
    "timeout": (0.001, limits.MAX_TIMEOUT_S),
    "memory": (0, limits.MAX_MEMORY_GIB),
    "train_budget": (0, limits.MAX_TRAIN_MINUTES),
}
MOST_NAMES = {
    **dict.fromkeys(("methods", "noise", "sigma", "metrics", "plugins"), limits.MAX_NAMES),
    "images": limits.MAX_IMAGE_NAMES,
}
LISTED = ("methods", "metrics")  # keys whose entries may have several names, separated by commas


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A run as requested; nothing is looked up yet. Every field is a key of a plan file.

    `sigma` is on the 0-255 scale, `timeout` in seconds, `memory` in GiB per worker (0: no limit), `jobs` the number of
    workers (0: one per core), `train_budget` in minutes per training. `scheduler` is the address of a running Dask
    scheduler for the engine `dask`; without it, that engine starts a cluster on this machine.
    """

    methods: tuple[str, ...] = ("all",)
    noise: tuple[str, ...] = ()
    sigma: tuple[float, ...] = ()
    dataset: str = ""
    gray: bool = False
    images: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("all",)
    seeds: int = 1
    protocol: str = "standard"
    noise_info: NoiseInfoSource = "known"
    device: str = "auto"
    jobs: int = 0
    engine: EngineName = "local"
    scheduler: str = ""
    out: str = ""
    fresh: bool = False
    timing: bool = True
    timeout: float = 600.0
    memory: float = 0.0
    keep_images: KeepImages = "first-seed"
    train_budget: float = 10.0
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_names()
        if self.scheduler and (self.engine != "dask" or "://" not in self.scheduler):
            raise BadOption(
                f"scheduler = {self.scheduler!r} is not allowed; it takes the address of a Dask scheduler, as "
                "tcp://HOST:8786, together with --engine dask."
            )
        if self.sigma and self.noise:
            wrong = [each for each in self.noise if each.partition(":")[0] != "gaussian"]
            if wrong:
                raise BadOption(
                    f"sigma is short for Gaussian noise and cannot be combined with {wrong[0]!r}; "
                    f"write every level as a noise of its own: --noise gaussian:25 --noise {wrong[0]}."
                )

    def _check_numbers(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadOption(
                    f"{name} = {shortened(value)} is not allowed; it takes a number from {low:g} to {high:g}."
                )

    def _check_names(self) -> None:
        """Refuse too many names, and too long names, before they are looked up."""
        for key in MOST_NAMES:
            given = getattr(self, key)
            names = [part for text in given for part in split_list(text)] if key in LISTED else given
            _check_number(key, len(names))
            longest = max((len(name) for name in names if isinstance(name, str)), default=0)
            if longest > limits.LONGEST_NAME:
                raise BadOption(
                    f"{key} has an entry of {longest:,} characters, and at most {limits.LONGEST_NAME:,} are allowed."
                )

    @property
    def data(self) -> str:
        """Return the data set's name, or the folder, with the suffix `[gray]` if gray was requested."""
        in_gray = self.gray and self.dataset and not gray.split(self.dataset)[1]
        return self.dataset + gray.SUFFIX if in_gray else self.dataset

    def noises(self) -> tuple[str, ...]:
        """Return all requested noises as text; `sigma` is short for Gaussian ones."""
        return (*self.noise, *(f"gaussian:sigma={level!r}" for level in self.sigma))


# A table of options means every combination of their values.
Swept = str | Sequence[str] | Mapping[str, Mapping[str, Any]]


class Keys(TypedDict, total=False):
    """The keys as keyword arguments, for type checkers and editors; a single value means a list of one."""

    methods: Swept
    noise: Swept
    sigma: float | Sequence[float]
    dataset: str
    gray: bool
    images: str | Sequence[str]
    metrics: str | Sequence[str]
    seeds: int
    protocol: str
    noise_info: NoiseInfoSource
    device: str
    jobs: int
    engine: EngineName
    scheduler: str
    out: str
    fresh: bool
    timing: bool
    timeout: float
    memory: float
    keep_images: KeepImages
    train_budget: float


class RunKeys(Keys, total=False):
    """The keys of `run`, which also takes plugin files."""

    plugins: str | Path | Sequence[str | Path]


def from_values(values: Mapping[str, Any], where: str) -> Request:
    """Return a request made from a table of keys.

    A single value means a list of one. A table of methods or noises means every combination of their options' values.

    Args:
        values: The keys and their values.
        where: The place of the table for messages.

    Raises:
        UsageError: A key is unknown, or a value has the wrong type or is not allowed.

    """
    hints = typing.get_type_hints(Request)
    tables = [key for key in sweeps.KEYS if isinstance(values.get(key), Mapping)]
    swept = {key: sweeps.names_in(key, values[key], where) for key in tables}
    table = {
        key: [value] if _is_list(hints.get(key)) and not isinstance(value, (list, tuple)) else value
        for key, value in {**values, **swept}.items()
    }
    table = {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}
    for key in MOST_NAMES:  # before the entries are examined one by one
        if isinstance(table.get(key), list):
            _check_number(key, len(table[key]))
    return tomlfile.build(Request, table, where)


def read(path: Path | None, overrides: Mapping[str, Any]) -> Request:
    """Return a request made from a plan file, if there is one, and from overrides.

    An override replaces the value of the file. If there are noises or levels among the overrides, they replace all
    noises and levels of the file.
    """
    table = tomlfile.read(path, "plan") if path else {}
    if {"noise", "sigma"} & overrides.keys():
        table = {key: value for key, value in table.items() if key not in ("noise", "sigma")}
    return from_values({**table, **overrides}, f"plan {path}" if path else "the request")


def changed(request: Request) -> dict[str, Any]:
    """Return the keys that differ from their defaults."""
    return {
        field.name: getattr(request, field.name)
        for field in dataclasses.fields(request)
        if getattr(request, field.name) != field.default
    }


def _check_number(key: str, number: int) -> None:
    if number > MOST_NAMES[key]:
        raise BadOption(f"{key} has {number:,} entries, and at most {MOST_NAMES[key]:,} are allowed. Give fewer.")


def _is_list(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple or isinstance(hint, types.GenericAlias)
