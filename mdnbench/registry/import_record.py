"""List the files and distributions that an import has loaded, as records that later show whether they have changed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mdnbench.registry import importer, module_spaces
from mdnbench.registry.code import Digests
from mdnbench.registry.distributions import distribution_of_file, package_entry
from mdnbench.registry.file_origin import kind_of
from mdnbench.spec.records import UsedFile


def of_process() -> dict[str, Any]:
    """Return the plugin modules that this process, or its current space, has imported."""
    return {name: module for name, module in list(sys.modules.items()) if _is_of_a_plugin(name, module)}


def _is_of_a_plugin(name: str, module: Any) -> bool:
    return name.startswith(importer.PREFIX) or module_spaces.is_foreign(name, module)


def files(modules: Mapping[str, Any], root: Path, digests: Digests) -> tuple[UsedFile, ...]:
    """Return records of the files of these modules, sorted; files below the plugin's root have paths relative to it."""
    found = set()
    for module in modules.values():
        for place in module_spaces.places_of(module):
            path = Path(place).absolute()
            if ".." in path.parts:  # of a relative entry in `sys.path`
                path = path.resolve()
            if path.is_file():
                content, syntax = digests.of(path)
                below = path.is_relative_to(root)
                name = path.relative_to(root).as_posix() if below else str(path)
                found.add(UsedFile("plugin" if below else "file", name, content, syntax))
    return tuple(sorted(found))


def packages() -> tuple[UsedFile, ...]:
    """Return records of the installed distributions that this process has imported, except mdnbench itself."""
    found = {entry for name in _distributions() if (entry := package_entry(name)) is not None}
    return tuple(sorted(found))


def _distributions() -> Iterable[str]:
    names: set[str] = set()
    for place in _tops():
        if kind_of(place) == "installed" and (name := distribution_of_file(place)):
            names.add(name)
    return names


def _tops() -> Iterator[str]:
    """Yield the files of the top-level modules."""
    for name, module in list(sys.modules.items()):
        if "." not in name and name not in sys.stdlib_module_names:
            yield from module_spaces.places_of(module)
