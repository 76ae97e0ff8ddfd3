"""The registry: loads the plugins behind all doors, and holds what they bring by name.

A plugin that cannot be loaded is kept as broken, with its reason; two plugins that claim one name are an error.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

import pluggy

from mdnbench import ending, hookspecs, names, variants
from mdnbench.data import gray
from mdnbench.errors import BadPlugin, UnknownName
from mdnbench.names import Named
from mdnbench.outside import cut
from mdnbench.registry import discovery, importing, sources, validation
from mdnbench.registry.discovery import Door
from mdnbench.specs import DatasetSpec, DenoiserSpec, MetricSpec, NoiseSpec, ReporterSpec

if TYPE_CHECKING:
    from mdnbench.records import UsedFile
    from mdnbench.registry.trust import Verdict

HOOKS = {
    "mdnbench_denoisers": ("method", DenoiserSpec),
    "mdnbench_noises": ("noise", NoiseSpec),
    "mdnbench_datasets": ("data set", DatasetSpec),
    "mdnbench_metrics": ("metric", MetricSpec),
    "mdnbench_reporters": ("reporter", ReporterSpec),
}


ADVICE = "use functions of your own instead, and change nothing outside of them."


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


Spec = TypeVar("Spec", bound=_HasName)
Files: TypeAlias = str | Path | Iterable[str | Path]  # plugin files: one, or several


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that could not be loaded, or not as others are, and why, in one line."""

    door: Door
    reason: str


@dataclass(frozen=True, slots=True)
class Entry(Generic[Spec]):
    """A spec and the source that it came from.

    `patches` is empty, or says why the plugin is imported in method processes only.
    """

    spec: Spec
    door: Door
    patches: str = ""

    def inside(self) -> contextlib.AbstractContextManager[None]:
        """Run in the space of the plugin: for long work with what its functions return, as a training.

        What a spec's functions import is found in any case; this is for objects whose methods import something later.
        """
        return sources.inside(self.door)


class Shelf(Generic[Spec], Mapping[str, Spec]):
    """The specs of one kind, by name; asking for an unknown name is an error that helps."""

    def __init__(self, kind: str, broken: tuple[Broken, ...] = ()) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[Spec]] = {}
        self._refused: dict[str, Broken] = {}
        self._broken = broken

    def add(self, entry: Entry[Spec]) -> None:
        """Put a spec on the shelf; BadPlugin if its name is taken."""
        self._claim(entry.spec.name, entry.door)
        self._entries[entry.spec.name] = entry

    def refuse(self, name: str, door: Door, reason: str) -> None:
        """Keep a name whose use is an error with this reason; it is not listed. BadPlugin if it is taken."""
        self._claim(name, door)
        self._refused[name] = Broken(door, reason)

    def _claim(self, name: str, door: Door) -> None:
        holder = self._entries.get(name) or self._refused.get(name)
        if holder:
            first, second = holder.door.address, door.address
            raise BadPlugin(f"two plugins claim the {self.kind} {name!r}: {first} and {second}; remove or rename one.")

    def __getitem__(self, name: str) -> Spec:
        return self.entry(name).spec

    def get(self, name: object, default: Any = None) -> Any:
        """The spec, or the default where there is none; a Mapping's own `get` would let UnknownName through."""
        return self._entries[name].spec if isinstance(name, str) and name in self._entries else default

    def __contains__(self, name: object) -> bool:
        """Whether there is such a name, also one that is refused: asking for that is an error that says why."""
        return name in self._entries or name in self._refused

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, name: str) -> Entry[Spec]:
        """The spec and its door; UnknownName with the likeliest meaning if there is none."""
        if name in self._entries:
            return self._entries[name]
        if name in self._refused:
            raise BadPlugin(self._refused[name].reason)
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
        there = isinstance(name, str) and gray.split(name)[0] in self._entries
        return self.entry(name).spec if there else default  # type: ignore[arg-type]

    def entry(self, name: str) -> Entry[DatasetSpec]:
        """The data set and its door, in gray where the name says so."""
        plain, in_gray = gray.split(name)
        found = super().entry(plain)
        return replace(found, spec=gray.dataset(found.spec)) if in_gray else found


@dataclass(frozen=True)
class Registry:
    """Everything that the plugins bring, by kind and name.

    `broken` are the plugins that could not be loaded. `patching` are those that change libraries or their process
    for good when they are imported: their methods run in processes of their own, and what else they bring is refused.
    """

    denoisers: Shelf[DenoiserSpec]
    noises: Shelf[NoiseSpec]
    datasets: Datasets
    metrics: Shelf[MetricSpec]
    reporters: Shelf[ReporterSpec]
    broken: tuple[Broken, ...] = ()
    files: tuple[Path, ...] = field(default=())
    patching: tuple[Broken, ...] = ()
    _used: Mapping[Door, tuple[UsedFile, ...]] = field(default_factory=dict)

    def used(self, door: Door) -> tuple[UsedFile, ...]:
        """Return the files of its own that a source's import has loaded; nothing for our own sources."""
        return self._used.get(door, ())

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

    A given file that is broken raises BadPlugin; any other broken plugin is only listed as such. A source that is not
    ours is tried in a process of its own before its first import, and loaded into a space of its own.
    """
    given = tuple(Path(file).resolve() for file in listed(files))
    doors = discovery.all_of(given)
    loading = _Loading(given)
    verdicts = _verdicts(doors)
    for door in doors:
        loading.take(door, verdicts.get(door))
    return loading.registry()


def load_source(door: Door) -> Registry:
    """Import one source into this process and return only what it brings; BadPlugin if that fails.

    For processes that serve one source: there is no trial, and its modules and `sys.path` are those of the process.
    """
    loading = _Loading((door.path,) if door.path else ())
    if door.path and door.path.is_file():
        importing.require_unchanged(door)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            loading.add(door, import_source(door))
    except (Exception, SystemExit) as error:
        raise _is_broken(door, error) from error
    return loading.registry()


def ours() -> Registry:
    """Return what mdnbench's own sources bring; nobody else's code is imported."""
    loading = _Loading(())
    for door in discovery.installed():
        if door.ours:
            loading.take(door, None)
    return loading.registry()


def import_source(door: Door) -> dict[str, list[Any]]:
    """Import a source and return its specs by hook, checked; whatever it raises comes through."""
    with ending.ending_copies():
        return _bring(door, importing.module_of(door))


def one_line(error: BaseException) -> str:
    """Return what an error says, with its type unless it is meant for people, in one line."""
    text = " ".join(cut(str(error)).split()) or "no message"
    return text if isinstance(error, BadPlugin) else f"{cut(type(error).__name__)}: {text}"


def _verdicts(doors: Iterable[Door]) -> Mapping[Door, Verdict]:
    """What trials have found of the sources that are not ours."""
    foreign = [door for door in doors if not door.ours and not door.fault]
    if not foreign:
        return {}
    from mdnbench.registry import trial

    return {} if trial.is_inside() else trial.verdicts(foreign)


class _Loading:
    """A registry that is being filled, source by source."""

    def __init__(self, given: tuple[Path, ...]) -> None:
        self._given = given
        self._brought: list[tuple[Door, dict[str, list[Any]]]] = []
        self._data: list[tuple[Door, Verdict]] = []
        self._broken: list[Broken] = []
        self._used: dict[Door, tuple[UsedFile, ...]] = {}

    def take(self, door: Door, verdict: Verdict | None) -> None:
        """Load a source as its trial allows; a broken one is listed, or raises BadPlugin if its file was given."""
        try:
            if verdict and verdict.error:
                raise BadPlugin(verdict.error)
            if verdict and verdict.patches:
                self._data.append((door, verdict))
                self._used[door] = tuple(file for file in verdict.files if file.root != "package")
                return
            with contextlib.redirect_stdout(sys.stderr):  # stdout is for data, whatever a plugin prints
                brought, used = (import_source(door), ()) if door.ours else sources.load(door, import_source)
            self._used[door] = used
            self.add(door, brought)
        except (Exception, SystemExit) as error:
            if door.path in self._given:
                raise _is_broken(door, error) from error
            self._broken.append(Broken(door, one_line(error)))

    def add(self, door: Door, brought: dict[str, list[Any]]) -> None:
        """Add what a source brings; BadPlugin if that is nothing."""
        if not brought and door.path in self._given:
            raise BadPlugin("it brings nothing: a plugin has functions that are marked with @mdnbench.hookimpl.")
        self._brought.append((door, brought))

    def registry(self) -> Registry:
        """The registry of all that was taken; BadPlugin if two sources claim one name."""
        broken = tuple(self._broken)
        shelves: dict[str, Shelf[Any]] = {hook: Shelf(kind, broken) for hook, (kind, _) in HOOKS.items()}
        shelves["mdnbench_datasets"] = datasets = Datasets("data set", broken)
        for door, brought in self._brought:
            for hook, specs in brought.items():
                for spec in specs:
                    shelves[hook].add(Entry(spec, door))
        patching = tuple(_restrict(shelves, door, verdict) for door, verdict in self._data)
        return Registry(
            shelves["mdnbench_denoisers"], shelves["mdnbench_noises"], datasets, shelves["mdnbench_metrics"],
            shelves["mdnbench_reporters"], broken, self._given, patching, self._used,
        )  # fmt: skip


def _restrict(shelves: Mapping[str, Shelf[Any]], door: Door, verdict: Verdict) -> Broken:
    """Add what a source brings that changes its process for good: methods as data, of others names that are refused."""
    from mdnbench.registry import patches, trial

    what = patches.words(verdict.patches)
    why = f"the plugin changes {what} when it is imported, for everything in its process"
    refused = []
    for hook, fields in verdict.specs:
        shelf, name = shelves[hook], fields["name"]
        if hook == "mdnbench_denoisers" and not fields["trainable"]:
            reason = f"the method {name!r} of {door.address} is built in method processes only: {why}."
            shelf.add(Entry(trial.method(fields, reason), door, f"it changes {what} when it is imported"))
            continue
        shelf.refuse(name, door, f"the {shelf.kind} {name!r} of {door.address} is refused: {why}; {ADVICE}")
        refused.append(f"{shelf.kind} {name}")
    rest = f" Refused: {', '.join(refused)}." if refused else ""
    return Broken(door, f"it changes {what} when it is imported; its methods run in processes of their own.{rest}")


def _bring(door: Door, module: ModuleType) -> dict[str, list[Any]]:
    """Check one plugin with pluggy, which looks at its arguments, and call each of its hooks once."""
    marked = [name for name in dir(module) if hasattr(getattr(module, name), f"{hookspecs.GROUP}_impl")]
    for name in marked:
        if name not in HOOKS:
            raise UnknownName("hook", name, HOOKS)
    for name in HOOKS:
        if name not in marked and callable(getattr(module, name, None)):
            raise BadPlugin(f"{name} is not marked as a hook; put @mdnbench.hookimpl above it.")
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=door.address)
    return {hook: _specs(hook, getattr(module, hook)) for hook in marked}


def _specs(hook: str, call: Callable[[], Iterable[Any]]) -> list[Any]:
    specs = list(call())
    record = HOOKS[hook][1]
    wrong = [spec for spec in specs if not isinstance(spec, record)]
    if wrong:
        raise BadPlugin(f"{hook} must return a list of {record.__name__}; it gave a {type(wrong[0]).__name__}.")
    for spec in specs:
        validation.check(record, spec)
    return specs


def _is_broken(door: Door, error: BaseException) -> BadPlugin:
    return BadPlugin(f"the plugin {door.address} is broken: {one_line(error)}")
