"""Find plugin sources: entry points of packages, files given with `--plugin`, the folder MDNBENCH_PLUGINS.

A `PluginSource` describes one source with everything that another process needs to import it. This module imports no
plugin.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mdnbench.registry import installed_packages
from mdnbench.registry.file_origin import kind_of, root_of
from mdnbench.registry.syntax_digest import syntax_digest
from mdnbench.spec import hookspecs
from mdnbench.util import paths

OURS = "mdnbench"  # the distribution whose plugins are part of mdnbench itself


@dataclass(frozen=True, slots=True)
class PluginSource:
    """One plugin source, ready to be pickled and imported in another process.

    `address` is the text that messages show. A plugin file has its `path`, the `digest` of its bytes (SHA-256) and the
    `code` digest of its syntax. An entry point has its `value` (`module` or `module:attribute`), its `distribution` and
    the `version` of that distribution. `ours` is true for the plugins of mdnbench itself. `fault` explains why nothing
    can be imported; it is empty otherwise. `folder` is the root of a plugin file. It is determined once, because it
    depends on the folder for temporary files, which is never a root and may be another one in another process.
    """

    name: str
    address: str
    path: Path | None = None
    digest: str = ""
    code: str = ""
    value: str = ""
    distribution: str = ""
    version: str = ""
    ours: bool = False
    fault: str = ""
    folder: Path | None = None

    @property
    def root(self) -> Path:
        """Return the folder that contains the plugin's own files: its repository, its folder, or its package.

        For an installed module without a folder of its own it is the module's file, because site-packages is shared.
        """
        if self.path is not None:
            return self.folder or root_of(self.path)
        origin = _origin(self.value)
        if kind_of(origin) == "other" and not self.ours:
            return root_of(origin)
        return origin.parent if origin.name == "__init__.py" else origin

    @property
    def base(self) -> Path:
        """Return the folder where relative paths in a spec's `files` start: that of the plugin file or the package."""
        return (self.path or _origin(self.value)).parent


def all_of(given: Iterable[Path]) -> tuple[PluginSource, ...]:
    """Return every plugin source: installed packages, then the files of the folder, then the given files."""
    files = dict.fromkeys([*_folder_files(), *given])
    return (*_installed(), *_no_folder(), *map(_file, files))


def installed() -> tuple[PluginSource, ...]:
    """Return the installed plugin sources, sorted by name."""
    return _installed()


def _installed() -> tuple[PluginSource, ...]:
    """Return the sources of entry points; search again only if something was installed since the last call."""
    times = []
    for entry in sys.path:
        with contextlib.suppress(OSError):
            times.append((entry, Path(entry or ".").stat().st_mtime_ns))
    return _entry_points(tuple(times))


@lru_cache(maxsize=4)
def _entry_points(places: tuple[tuple[str, int], ...]) -> tuple[PluginSource, ...]:
    return tuple(_walked())


def _walked() -> Iterator[PluginSource]:
    """Yield the source of each entry point; pluggy's own loader would skip a second one of the same name."""
    points = {
        (name, value, distribution)
        for distribution in installed_packages.importable()
        for name, value in distribution.entry_points(hookspecs.GROUP)
    }
    for name, value, distribution in sorted(points, key=lambda point: (point[0], point[1], point[2].name)):
        package, version = distribution.written()
        yield PluginSource(
            name, f"{value} ({package} {version})", value=value, distribution=package, version=version,
            ours=package == OURS,
        )  # fmt: skip


def _folder() -> Path | None:
    named = os.environ.get("MDNBENCH_PLUGINS")
    return paths.expanded(named).resolve() if named else None


def _folder_files() -> list[Path]:
    folder = _folder()
    return [path for path in sorted(folder.glob("*.py")) if _is_plugin(path.name)] if folder else []


def _is_plugin(name: str) -> bool:
    """Return whether a file of the folder is a plugin; tests and private modules may be in the folder too."""
    return not name.startswith(("_", "test_")) and name != "conftest.py"


def _no_folder() -> Iterator[PluginSource]:
    """Yield a broken source if MDNBENCH_PLUGINS names no folder, because the expected plugins are missing."""
    folder = _folder()
    if folder and not folder.is_dir():
        why = f"it names {folder}, which is no folder; make it, or set the variable to the one that you mean."
        yield PluginSource("MDNBENCH_PLUGINS", "MDNBENCH_PLUGINS", fault=why)


def _file(path: Path) -> PluginSource:
    """Return the source of a plugin file, with the digests of its text."""
    if path.exists() and not path.is_file() and not path.is_dir():  # reading a pipe or a device would never end
        return PluginSource(path.stem, str(path), path, fault="it is a pipe or a device; a plugin is a regular file.")
    try:
        content = path.read_bytes()
    except OSError as error:
        why = f"it cannot be read: {error.strerror or error}." if path.is_file() else f"there is no file {path}."
        return PluginSource(path.stem, str(path), path, fault=why)
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix != ".py":
        return PluginSource(
            path.stem, str(path), path, digest, digest, fault="it is no Python file; its name must end in .py."
        )

    return PluginSource(path.stem, str(path), path, digest, _code_of(content), folder=root_of(path))


@lru_cache(maxsize=64)
def _code_of(content: bytes) -> str:
    return syntax_digest(content)


def _origin(value: str) -> Path:
    """Return the file of the top-level module of an entry point, without importing it."""
    top = value.partition(":")[0].strip().partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec and spec.origin and spec.has_location:
        return Path(spec.origin)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return Path(folders[0], "__init__.py") if folders else Path(top)  # a namespace package, or no module at all
