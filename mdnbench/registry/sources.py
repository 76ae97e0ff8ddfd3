"""Load the plugin sources that are not part of mdnbench, each into its own space; reload one when its files change."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from mdnbench.registry import import_effects, importer
from mdnbench.registry.code import Digests, changed
from mdnbench.util.time_limit import time_limit

if TYPE_CHECKING:
    from mdnbench.registry.discovery import PluginSource
    from mdnbench.registry.module_spaces import Space
    from mdnbench.spec.records import UsedFile

Import: TypeAlias = "Callable[[PluginSource], dict[str, list[Any]]]"


@dataclass(slots=True)
class _LoadedSpace:
    """A space into which sources were imported, and the files that each source has loaded."""

    space: Space
    used: dict[PluginSource, tuple[UsedFile, ...]]


_loaded: dict[tuple[str, ...], _LoadedSpace] = {}


def load(source: PluginSource, bring: Import) -> tuple[dict[str, list[Any]], tuple[UsedFile, ...]]:
    """Import a source in its space.

    Returns:
        The specs by hook, whose functions run in the space, and records of the files that the source has loaded.

    """
    digests = Digests()
    loaded = _current(source, digests)
    try:
        with time_limit(f"the import of {source.address}"), loaded.space.inside(), import_effects.restored():
            brought = bring(source)
            if source not in loaded.used:
                loaded.used[source] = _imported(source, digests)
                digests.save()
    except BaseException:
        _drop(source)
        raise
    bound = {hook: [loaded.space.wrap(spec) for spec in specs] for hook, specs in brought.items()}
    return bound, loaded.used[source]


def files(source: PluginSource) -> tuple[UsedFile, ...]:
    """Return records of the plugin's own files that a source has imported so far; nothing if it was not loaded here."""
    with inside(source):
        return _imported(source, Digests()) if _key(source) in _loaded else ()


def _imported(source: PluginSource, digests: Digests) -> tuple[UsedFile, ...]:
    """Return records of the files of a source; call it in the source's space."""
    from mdnbench.registry import import_record

    mine = {name: each for name, each in import_record.of_process().items() if _is_mine(name, source)}
    return import_record.files(mine, source.root, digests)


def inside(source: PluginSource) -> contextlib.AbstractContextManager[None]:
    """Return a context that runs in the space of a source, or does nothing if it has none."""
    loaded = _loaded.get(_key(source))
    return loaded.space.inside() if loaded else contextlib.nullcontext()


def _key(source: PluginSource) -> tuple[str, ...]:
    """Return the key of a source's space; the entry points of one distribution share modules, so they share a space."""
    return (str(source.path),) if source.path else (source.distribution, source.version)


def _current(source: PluginSource, digests: Digests) -> _LoadedSpace:
    """Return the space of a source with its files; start a new one if it was never loaded or a file has changed."""
    from mdnbench.registry.module_spaces import Space

    loaded = _loaded.get(_key(source))
    if loaded and any(changed(files, each.root, digests) for each, files in loaded.used.items()):
        _drop(source)
        loaded = None
    if loaded is None:
        loaded = _loaded[_key(source)] = _LoadedSpace(Space(source.address), {})
    return loaded


def _drop(source: PluginSource) -> None:
    """Forget the modules of a source; specs that were made of them still work in their old space."""
    _loaded.pop(_key(source), None)
    if source.path is not None:
        importer.forget(importer.name_of(source.path, source.digest))


def _is_mine(name: str, source: PluginSource) -> bool:
    """Return whether a module belongs to this source.

    The module of another plugin file does not, although `sys.modules` has it in every space.
    """
    if not name.startswith(importer.PREFIX):
        return True
    return source.path is not None and name.partition(".")[0] == importer.name_of(source.path, source.digest)
