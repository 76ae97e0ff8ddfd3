"""Sources that are not ours, each loaded into a space of its own, once until one of its files changes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from mdnbench.registry import importing, surroundings

if TYPE_CHECKING:
    from mdnbench.registry.code import Digests
    from mdnbench.registry.discovery import Door
    from mdnbench.registry.spaces import Space
    from mdnbench.spec.records import UsedFile

Import: TypeAlias = "Callable[[Door], dict[str, list[Any]]]"


@dataclass(slots=True)
class _Loaded:
    """A space that sources were imported into, and the files that they have loaded, by source."""

    space: Space
    used: dict[Door, tuple[UsedFile, ...]]


_loaded: dict[tuple[str, ...], _Loaded] = {}


def load(door: Door, bring: Import) -> tuple[dict[str, list[Any]], tuple[UsedFile, ...]]:
    """Import a source in its space; return its specs by hook, bound to the space, and the files that it has loaded."""
    from mdnbench.registry.code import Digests

    digests = Digests()
    loaded = _current(door, digests)
    try:
        with loaded.space.inside(), surroundings.kept():
            brought = bring(door)
            if door not in loaded.used:
                loaded.used[door] = _imported(door, digests)
                digests.save()
    except BaseException:
        _drop(door)
        raise
    bound = {hook: [loaded.space.wrap(spec) for spec in specs] for hook, specs in brought.items()}
    return bound, loaded.used[door]


def files(door: Door) -> tuple[UsedFile, ...]:
    """Return the files of its own that a source has imported by now; nothing if it was not loaded here."""
    from mdnbench.registry.code import Digests

    with inside(door):
        return _imported(door, Digests()) if _key(door) in _loaded else ()


def _imported(door: Door, digests: Digests) -> tuple[UsedFile, ...]:
    """The files of a source, called in its space."""
    from mdnbench.registry import imported

    mine = {name: each for name, each in imported.of_process().items() if _is_mine(name, door)}
    return imported.files(mine, door.root, digests)


def inside(door: Door) -> contextlib.AbstractContextManager[None]:
    """Run in the space of a source, if it has one."""
    loaded = _loaded.get(_key(door))
    return loaded.space.inside() if loaded else contextlib.nullcontext()


def _key(door: Door) -> tuple[str, ...]:
    """The entry points of one distribution share a space: they share modules as well."""
    return (str(door.path),) if door.path else (door.distribution, door.version)


def _current(door: Door, digests: Digests) -> _Loaded:
    """What was loaded of a source; begun anew if it was not loaded yet, or a file has changed since."""
    from mdnbench.registry.code import changed
    from mdnbench.registry.spaces import Space

    loaded = _loaded.get(_key(door))
    if loaded and any(changed(files, each.root, digests) for each, files in loaded.used.items()):
        _drop(door)
        loaded = None
    if loaded is None:
        loaded = _loaded[_key(door)] = _Loaded(Space(door.address), {})
    return loaded


def _drop(door: Door) -> None:
    """Forget the modules of a source; specs that were made of them go on working in the space that they are in."""
    _loaded.pop(_key(door), None)
    if door.path is not None:
        importing.forget(importing.name_of(door.path, door.digest))


def _is_mine(name: str, door: Door) -> bool:
    """Whether a module is of this source, and not another plugin's file, whose name is in `sys.modules` for all."""
    if not name.startswith(importing.PREFIX):
        return True
    return door.path is not None and name.partition(".")[0] == importing.name_of(door.path, door.digest)
