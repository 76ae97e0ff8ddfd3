"""The registry: loads the plugins behind all doors, and holds what they bring by name.

A plugin that cannot be loaded is kept as broken, with its reason; two plugins that claim one name are an error.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import pluggy

from mdnbench import hookspecs, names, variants
from mdnbench.data import gray
from mdnbench.errors import BadPlugin, UnknownName
from mdnbench.names import Named
from mdnbench.registry import discovery, validation
from mdnbench.registry.discovery import Door
from mdnbench.specs import DatasetSpec, DenoiserSpec, MetricSpec, NoiseSpec, ReporterSpec

HOOKS = {
    "mdnbench_denoisers": ("method", DenoiserSpec),
    "mdnbench_noises": ("noise", NoiseSpec),
    "mdnbench_datasets": ("data set", DatasetSpec),
    "mdnbench_metrics": ("metric", MetricSpec),
    "mdnbench_reporters": ("reporter", ReporterSpec),
}


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


Spec = TypeVar("Spec", bound=_HasName)
Files: TypeAlias = str | Path | Iterable[str | Path]  # plugin files: one, or several


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that could not be loaded, and why, in one line."""

    door: Door
    reason: str


@dataclass(frozen=True, slots=True)
class Entry(Generic[Spec]):
    """A spec and the door that it came through."""

    spec: Spec
    door: Door


class Shelf(Generic[Spec], Mapping[str, Spec]):
    """The specs of one kind, by name; asking for an unknown name is an error that helps."""

    def __init__(self, kind: str, broken: tuple[Broken, ...] = ()) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[Spec]] = {}
        self._broken = broken

    def add(self, entry: Entry[Spec]) -> None:
        """Put a spec on the shelf; BadPlugin if its name is taken."""
        name = entry.spec.name
        if name in self._entries:
            first, second = self._entries[name].door.address, entry.door.address
            raise BadPlugin(f"two plugins claim the {self.kind} {name!r}: {first} and {second}; remove or rename one.")
        self._entries[name] = entry

    def __getitem__(self, name: str) -> Spec:
        return self.entry(name).spec

    def get(self, name: object, default: Any = None) -> Any:
        """The spec, or the default where there is none; a Mapping's own `get` would let UnknownName through."""
        return self._entries[name].spec if isinstance(name, str) and name in self._entries else default

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, name: str) -> Entry[Spec]:
        """The spec and its door; UnknownName with the likeliest meaning if there is none."""
        if name in self._entries:
            return self._entries[name]
        broken = [each for each in self._broken if name in (each.door.name, each.door.name.removeprefix("mdnbench_"))]
        if broken:
            raise BadPlugin(f"the plugin {broken[0].door.address} is broken: {broken[0].reason}")
        lost = f" Broken plugins: {', '.join(each.door.address for each in self._broken)}." if self._broken else ""
        raise UnknownName(self.kind, name, self._entries, hint=f"`mdnbench list` shows all.{lost}")


class Datasets(Shelf[DatasetSpec]):
    """The data sets by name; `NAME[gray]` is one of them with its images turned gray."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(gray.split(name)[0])

    def get(self, name: object, default: Any = None) -> Any:
        """The data set, or the default where there is none."""
        return self.entry(name).spec if isinstance(name, str) and name in self else default

    def entry(self, name: str) -> Entry[DatasetSpec]:
        """The data set and its door, in gray where the name says so."""
        plain, in_gray = gray.split(name)
        found = super().entry(plain)
        return replace(found, spec=gray.dataset(found.spec)) if in_gray else found


@dataclass(frozen=True)
class Registry:
    """Everything that the plugins bring, by kind and name."""

    denoisers: Shelf[DenoiserSpec]
    noises: Shelf[NoiseSpec]
    datasets: Datasets
    metrics: Shelf[MetricSpec]
    reporters: Shelf[ReporterSpec]
    broken: tuple[Broken, ...] = ()
    files: tuple[Path, ...] = field(default=())

    @property
    def revisions(self) -> dict[tuple[str, str], str]:
        """The revisions of methods, noises and metrics, by kind and name."""
        shelves: tuple[Shelf[Any], ...] = (self.denoisers, self.noises, self.metrics)
        return {(shelf.kind, name): spec.revision for shelf in shelves for name, spec in shelf.items()}

    def method(self, text: str) -> Named:
        """Parse `bm3d[profile=lc]` against the method's options; what makes no sense together is refused."""
        name, given = names.split_method(text)
        spec = self.denoisers[name]
        named = names.resolve("method", name, variants.settle(spec, given), variants.options_of(spec))
        return variants.check(named, spec)

    def reporter(self, text: str) -> Named:
        """Parse `html[limit=6]` against the reporter's declared options."""
        name, given = names.split_method(text)
        return names.resolve("reporter", name, given, self.reporters[name].options)

    def noise(self, text: str) -> Named:
        """Parse `gaussian:50` against the noise's declared parameters."""
        name, given = names.split_noise(text)
        return names.resolve("noise", name, given, self.noises[name].parameters)

    def metric(self, text: str) -> MetricSpec:
        """The metric of a name, or one of its settings, as `ssim[uniform]`."""
        name, bracket, rest = text.partition("[")
        spec = self.metrics[name]
        if not bracket:
            return spec
        for setting in spec.settings:
            if f"{setting.name}]" == rest:
                prepare = setting.prepare or spec.prepare
                return replace(
                    spec, name=text, summary=setting.summary, build=setting.build, prepare=prepare, settings=()
                )
        raise UnknownName(f"setting of metric {name!r}", rest.removesuffix("]"), [each.name for each in spec.settings])


def listed(files: Files) -> tuple[Path | str, ...]:
    """Plugin files as a tuple; a single path stands for itself, not for its letters."""
    return (files,) if isinstance(files, str | os.PathLike) else tuple(files)


def load(files: Files = ()) -> Registry:
    """Load all plugins: installed ones, those in the folder MDNBENCH_PLUGINS, and the given files.

    A given file that is broken raises BadPlugin; any other broken plugin is only listed as such.
    """
    given = tuple(Path(file).resolve() for file in listed(files))
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    broken: list[Broken] = []
    brought: list[tuple[Door, str, list[Any]]] = []
    for door, importer in discovery.all_of(given):
        try:
            with contextlib.redirect_stdout(sys.stderr):  # stdout is for data, whatever a plugin prints
                found = _bring(manager, door, importer())
            if not found and door.path in given:
                raise BadPlugin("it brings nothing: a plugin has functions that are marked with @mdnbench.hookimpl.")
            brought += found
        except (Exception, SystemExit) as error:
            if door.path in given:
                raise BadPlugin(f"the plugin {door.address} is broken: {_one_line(error)}") from error
            broken.append(Broken(door, _one_line(error)))
    shelves: dict[str, Shelf[Any]] = {hook: Shelf(kind, tuple(broken)) for hook, (kind, _) in HOOKS.items()}
    shelves["mdnbench_datasets"] = datasets = Datasets("data set", tuple(broken))
    for door, hook, specs in brought:
        for spec in specs:
            shelves[hook].add(Entry(_pinned(spec, door), door))
    return Registry(
        shelves["mdnbench_denoisers"], shelves["mdnbench_noises"], datasets, shelves["mdnbench_metrics"],
        shelves["mdnbench_reporters"], tuple(broken), given,
    )  # fmt: skip


def _bring(manager: pluggy.PluginManager, door: Door, module: ModuleType) -> list[tuple[Door, str, list[Any]]]:
    """Register one plugin with pluggy, which checks its arguments, and call each of its hooks once."""
    marked = [name for name in dir(module) if hasattr(getattr(module, name), f"{hookspecs.GROUP}_impl")]
    for name in marked:
        if name not in HOOKS:
            raise UnknownName("hook", name, HOOKS)
    for name in HOOKS:
        if name not in marked and callable(getattr(module, name, None)):
            raise BadPlugin(f"{name} is not marked as a hook; put @mdnbench.hookimpl above it.")
    manager.register(module, name=door.address)
    results = []
    for hook in marked:
        specs = list(getattr(module, hook)())
        record = HOOKS[hook][1]
        wrong = [spec for spec in specs if not isinstance(spec, record)]
        if wrong:
            raise BadPlugin(f"{hook} must return a list of {record.__name__}; it gave a {type(wrong[0]).__name__}.")
        for spec in specs:
            validation.check(record, spec)
        results.append((door, hook, specs))
    return results


def _pinned(spec: Any, door: Door) -> Any:
    """The spec with its file's digest in the revision: an edited plugin file is another plugin, whatever it says."""
    if not door.digest or not hasattr(spec, "revision"):
        return spec
    return dataclasses.replace(spec, revision=f"{spec.revision}+{door.digest[:12]}")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, BadPlugin) else f"{type(error).__name__}: {text}"
