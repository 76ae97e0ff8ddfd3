"""Find plugins, load them, and store the specs that they provide by name.

A plugin that cannot be loaded is listed as broken, with the reason. Two plugins that provide the same name are an
error. All rooms from `store` upwards may import this package. Start with `load` below, then read `discovery.py` and
`validation.py`.
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

from mdnbench.data import gray
from mdnbench.errors import BadPlugin, UnknownName
from mdnbench.registry import declared_files, discovery, importer, sources, validation, variants
from mdnbench.registry.discovery import PluginSource
from mdnbench.spec import hookspecs, names
from mdnbench.spec.names import Named
from mdnbench.spec.specs import DatasetSpec, DenoiserSpec, MetricSpec, NoiseSpec, ReporterSpec
from mdnbench.util import ending
from mdnbench.util.untrusted import cut

if TYPE_CHECKING:
    from mdnbench.registry.trial_cache import TrialResult
    from mdnbench.spec.records import UsedFile

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
Files: TypeAlias = str | Path | Iterable[str | Path]  # one plugin file, or several


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that could not be loaded, or whose use is restricted, and the reason in one line."""

    source: PluginSource
    reason: str


@dataclass(frozen=True, slots=True)
class Entry(Generic[Spec]):
    """A spec and the plugin source that provides it.

    `patches` explains why the plugin is imported in method processes only. It is empty for all other plugins.
    """

    spec: Spec
    source: PluginSource
    patches: str = ""

    def inside(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the plugin's own modules can be imported.

        Use it for long work with the objects that a spec's functions return, for example a training. The functions of a
        spec enter this context themselves. The objects that they return do not, and their methods may import modules
        later.
        """
        return sources.inside(self.source)


class SpecTable(Generic[Spec], Mapping[str, Spec]):
    """The specs of one kind, by name.

    Looking up an unknown name raises an error that suggests the closest known name.
    """

    def __init__(self, kind: str, broken: tuple[Broken, ...] = ()) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[Spec]] = {}
        self._refused: dict[str, Broken] = {}
        self._broken = broken

    def add(self, entry: Entry[Spec]) -> None:
        """Add a spec.

        Raises:
            BadPlugin: Another plugin has already added or reserved this name.

        """
        self._claim(entry.spec.name, entry.source)
        self._entries[entry.spec.name] = entry

    def refuse(self, name: str, source: PluginSource, reason: str) -> None:
        """Reserve a name that cannot be used; the table does not list it.

        Args:
            name: The name. Looking it up raises BadPlugin with `reason`.
            source: The plugin source that provides the name.
            reason: The message of that error.

        Raises:
            BadPlugin: Another plugin has already added or reserved this name.

        """
        self._claim(name, source)
        self._refused[name] = Broken(source, reason)

    def _claim(self, name: str, source: PluginSource) -> None:
        holder = self._entries.get(name) or self._refused.get(name)
        if holder:
            first, second = holder.source.address, source.address
            raise BadPlugin(f"two plugins claim the {self.kind} {name!r}: {first} and {second}; remove or rename one.")

    def __getitem__(self, name: str) -> Spec:
        return self.entry(name).spec

    def get(self, name: object, default: Any = None) -> Any:
        """Return the spec of a name, or the default if there is none.

        The `get` of Mapping would let UnknownName through, because that is no KeyError.
        """
        return self._entries[name].spec if isinstance(name, str) and name in self._entries else default

    def __contains__(self, name: object) -> bool:
        """Return whether the name is known.

        A refused name is known too: looking it up raises an error that explains why it is refused.
        """
        return name in self._entries or name in self._refused

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, name: str) -> Entry[Spec]:
        """Return the spec of a name together with its plugin source.

        Raises:
            UnknownName: There is no such name; the message suggests the closest one.
            BadPlugin: The name is refused, or the plugin of this name is broken.

        """
        if name in self._entries:
            return self._entries[name]
        if name in self._refused:
            raise BadPlugin(self._refused[name].reason)
        broken = [
            each for each in self._broken if name in (each.source.name, each.source.name.removeprefix("mdnbench_"))
        ]
        if broken:
            raise BadPlugin(f"the plugin {broken[0].source.address} is broken: {broken[0].reason}")
        lost = f" Broken plugins: {', '.join(each.source.address for each in self._broken)}." if self._broken else ""
        raise UnknownName(self.kind, name, self._entries, hint=f"`mdnbench list` shows all.{lost}")


class Datasets(SpecTable[DatasetSpec]):
    """The data sets by name; `NAME[gray]` is the data set NAME with its images converted to gray."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(gray.split(name)[0])

    def get(self, name: object, default: Any = None) -> Any:
        """Return the data set of a name, or the default if there is none."""
        there = isinstance(name, str) and gray.split(name)[0] in self._entries
        return self.entry(name).spec if there else default  # type: ignore[arg-type]

    def entry(self, name: str) -> Entry[DatasetSpec]:
        """Return the data set of a name and its plugin source; its images are gray if the name ends in `[gray]`."""
        plain, in_gray = gray.split(name)
        found = super().entry(plain)
        return replace(found, spec=gray.dataset(found.spec)) if in_gray else found


@dataclass(frozen=True)
class Registry:
    """All specs that plugins provide, by kind and name.

    `broken` are the plugins that could not be loaded. `patching` are the plugins whose import permanently changes
    libraries or the process. The methods of such a plugin run in separate processes, and its other specs are refused.
    """

    denoisers: SpecTable[DenoiserSpec]
    noises: SpecTable[NoiseSpec]
    datasets: Datasets
    metrics: SpecTable[MetricSpec]
    reporters: SpecTable[ReporterSpec]
    broken: tuple[Broken, ...] = ()
    files: tuple[Path, ...] = field(default=())
    patching: tuple[Broken, ...] = ()
    _used: Mapping[PluginSource, tuple[UsedFile, ...]] = field(default_factory=dict)

    def used(self, source: PluginSource) -> tuple[UsedFile, ...]:
        """Return the plugin's own files that its import has loaded; nothing for the sources of mdnbench itself."""
        return self._used.get(source, ())

    @property
    def revisions(self) -> dict[tuple[str, str], str]:
        """Return the revisions of methods, noises and metrics, by kind and name."""
        spec_tables: tuple[SpecTable[Any], ...] = (self.denoisers, self.noises, self.metrics)
        return {(shelf.kind, name): spec.revision for shelf in spec_tables for name, spec in shelf.items()}

    def method(self, text: str) -> Named:
        """Parse the name of a method with its options, for example `bm3d[profile=lc]`.

        Raises:
            UnknownName: There is no such method or option.
            BadOption: A value is not allowed, or the options exclude each other.

        """
        name, given = names.split_method(text)
        spec = self.denoisers[name]
        named = names.resolve("method", name, variants.settle(spec, given), variants.options_of(spec))
        return variants.check(named, spec)

    def reporter(self, text: str) -> Named:
        """Parse the name of a reporter with its options, for example `html[limit=6]`."""
        name, given = names.split_method(text)
        return names.resolve("reporter", name, given, self.reporters[name].options)

    def noise(self, text: str) -> Named:
        """Parse the name of a noise with its parameters, for example `gaussian:50`."""
        name, given = names.split_noise(text)
        return names.resolve("noise", name, given, self.noises[name].parameters)

    def metric(self, text: str) -> MetricSpec:
        """Return the metric of a name, which may have a setting, for example `ssim[uniform]`.

        Raises:
            UnknownName: There is no such metric or setting.

        """
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
    """Return plugin files as a tuple; a single path becomes a tuple of one."""
    return (files,) if isinstance(files, str | os.PathLike) else tuple(files)


def load(files: Files = ()) -> Registry:
    """Load all plugins: installed ones, those in the folder MDNBENCH_PLUGINS, and the given files.

    A plugin that is not part of mdnbench is first imported in a separate process (a trial). It is then loaded with a
    module namespace of its own.

    Args:
        files: Plugin files, one or several.

    Returns:
        The registry. A broken plugin that was not given in `files` is listed in its `broken`.

    Raises:
        BadPlugin: One of the given files is broken, or two plugins provide the same name.

    """
    given = tuple(Path(file).resolve() for file in listed(files))
    plugin_sources = discovery.all_of(given)
    loading = _Loading(given)
    results = _trial_results(plugin_sources)
    for source in plugin_sources:
        loading.take(source, results.get(source))
    return loading.registry()


def load_source(source: PluginSource) -> Registry:
    """Import one plugin source into this process and return a registry of its specs alone.

    For processes that serve a single source. There is no trial, and the source shares the modules and the `sys.path` of
    the process.

    Raises:
        BadPlugin: The source cannot be imported, or its file has changed.

    """
    loading = _Loading((source.path,) if source.path else ())
    if source.path and source.path.is_file():
        importer.require_unchanged(source)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            loading.add(source, import_source(source))
    except (Exception, SystemExit) as error:
        raise _is_broken(source, error) from error
    return loading.registry()


def ours() -> Registry:
    """Return the specs of mdnbench's own plugins, without importing any other code."""
    loading = _Loading(())
    for source in discovery.installed():
        if source.ours:
            loading.take(source, None)
    return loading.registry()


def import_source(source: PluginSource) -> dict[str, list[Any]]:
    """Import a source and return its validated specs by hook; every error of the plugin is passed on."""
    with ending.ending_copies():
        return _bring(source, importer.module_of(source))


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line, with the error's type unless it is BadPlugin."""
    text = " ".join(cut(str(error)).split()) or "no message"
    return text if isinstance(error, BadPlugin) else f"{cut(type(error).__name__)}: {text}"


def _trial_results(plugin_sources: Iterable[PluginSource]) -> Mapping[PluginSource, TrialResult]:
    """Return the results of the trials of the sources that are not part of mdnbench."""
    foreign = [source for source in plugin_sources if not source.ours and not source.fault]
    if not foreign:
        return {}
    from mdnbench.registry import trial

    return {} if trial.is_inside() else trial.results(foreign)


class _Loading:
    """A registry that is being built, source by source."""

    def __init__(self, given: tuple[Path, ...]) -> None:
        self._given = given
        self._brought: list[tuple[PluginSource, dict[str, list[Any]]]] = []
        self._data: list[tuple[PluginSource, TrialResult]] = []
        self._broken: list[Broken] = []
        self._used: dict[PluginSource, tuple[UsedFile, ...]] = {}

    def take(self, source: PluginSource, result: TrialResult | None) -> None:
        """Load a source if its trial succeeded; list a broken one, or raise BadPlugin if its file was given."""
        try:
            if result and result.error:
                raise BadPlugin(result.error)
            if result and result.patches:
                _check_declared(result, source)
                self._data.append((source, result))
                self._used[source] = tuple(file for file in result.files if file.root != "package")
                return
            with contextlib.redirect_stdout(sys.stderr):  # stdout is for data: a plugin's prints go to stderr
                brought, used = (import_source(source), ()) if source.ours else sources.load(source, import_source)
            self._used[source] = used
            self.add(source, brought)
        except (Exception, SystemExit) as error:
            if source.path in self._given:
                raise _is_broken(source, error) from error
            self._broken.append(Broken(source, one_line(error)))

    def add(self, source: PluginSource, brought: dict[str, list[Any]]) -> None:
        """Add the specs of a source; raise BadPlugin if a given file has none."""
        if not brought and source.path in self._given:
            raise BadPlugin("it brings nothing: a plugin has functions that are marked with @mdnbench.hookimpl.")
        self._brought.append((source, brought))

    def registry(self) -> Registry:
        """Return the registry of all sources taken so far; raise BadPlugin if two of them provide the same name."""
        broken = tuple(self._broken)
        spec_tables: dict[str, SpecTable[Any]] = {hook: SpecTable(kind, broken) for hook, (kind, _) in HOOKS.items()}
        spec_tables["mdnbench_datasets"] = datasets = Datasets("data set", broken)
        for source, brought in self._brought:
            for hook, specs in brought.items():
                for spec in specs:
                    spec_tables[hook].add(Entry(spec, source))
        patching = tuple(_restrict(spec_tables, source, result) for source, result in self._data)
        return Registry(
            spec_tables["mdnbench_denoisers"], spec_tables["mdnbench_noises"], datasets,
            spec_tables["mdnbench_metrics"], spec_tables["mdnbench_reporters"], broken, self._given, patching,
            self._used,
        )  # fmt: skip


def _check_declared(result: TrialResult, source: PluginSource) -> None:
    """Raise BadPlugin if a file that a method of the plugin declares cannot be compared."""
    from mdnbench.registry import trial

    for hook, fields in result.specs:
        if hook == "mdnbench_denoisers" and not fields["trainable"]:
            declared_files.check(trial.method(fields, ""), source)


def _restrict(spec_tables: Mapping[str, SpecTable[Any]], source: PluginSource, result: TrialResult) -> Broken:
    """Add the specs of a source whose import permanently changes the process.

    Methods are added as data, without their functions. All other names are refused.
    """
    from mdnbench.registry import patches, trial

    what = patches.words(result.patches)
    why = f"the plugin changes {what} when it is imported, for everything in its process"
    refused = []
    for hook, fields in result.specs:
        shelf, name = spec_tables[hook], fields["name"]
        if hook == "mdnbench_denoisers" and not fields["trainable"]:
            reason = f"the method {name!r} of {source.address} is built in method processes only: {why}."
            spec = trial.method(fields, reason)
            shelf.add(Entry(spec, source, f"it changes {what} when it is imported"))
            continue
        shelf.refuse(name, source, f"the {shelf.kind} {name!r} of {source.address} is refused: {why}; {ADVICE}")
        refused.append(f"{shelf.kind} {name}")
    rest = f" Refused: {', '.join(refused)}." if refused else ""
    return Broken(source, f"it changes {what} when it is imported; its methods run in processes of their own.{rest}")


def _bring(source: PluginSource, module: ModuleType) -> dict[str, list[Any]]:
    """Check the hooks of a plugin with pluggy, which compares their arguments, and call each of them once."""
    marked = [name for name in dir(module) if hasattr(getattr(module, name), f"{hookspecs.GROUP}_impl")]
    for name in marked:
        if name not in HOOKS:
            raise UnknownName("hook", name, HOOKS)
    for name in HOOKS:
        if name not in marked and callable(getattr(module, name, None)):
            raise BadPlugin(f"{name} is not marked as a hook; put @mdnbench.hookimpl above it.")
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=source.address)
    return {hook: _specs(hook, getattr(module, hook), source) for hook in marked}


def _specs(hook: str, call: Callable[[], Iterable[Any]], source: PluginSource) -> list[Any]:
    specs = list(call())
    record = HOOKS[hook][1]
    wrong = [spec for spec in specs if not isinstance(spec, record)]
    if wrong:
        raise BadPlugin(f"{hook} must return a list of {record.__name__}; it gave a {type(wrong[0]).__name__}.")
    for spec in specs:
        validation.check(record, spec)
        declared_files.check(spec, source)
    return specs


def _is_broken(source: PluginSource, error: BaseException) -> BadPlugin:
    return BadPlugin(f"the plugin {source.address} is broken: {one_line(error)}")
