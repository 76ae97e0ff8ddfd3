"""Where plugins come from: entry points of packages, files given with `--plugin`, the folder MDNBENCH_PLUGINS.

Each source of plugins is a `Door`: all that another process needs to import it. Nothing is imported here.
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
from importlib import metadata
from pathlib import Path

from mdnbench.spec import hookspecs
from mdnbench.util import paths

OURS = "mdnbench"  # the distribution whose plugins are our own


@dataclass(frozen=True, slots=True)
class Door:
    """One source of plugins, ready to be pickled and imported in another process.

    `address` is shown to people. A plugin file has its `path`, the `digest` of its bytes (SHA-256) and the `code`
    digest of its syntax; an entry point has its `value` (`module` or `module:attribute`), its `distribution` and the
    `version` of that. `ours` is true for the plugins of mdnbench itself. `fault` says why there is nothing to import.
    `folder` is the root of a file, found once: another process may have another folder for temporary files, which is
    never a root.
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
        """The folder that a plugin's own files lie below: its repository, its folder, or its package.

        An installed module without a folder of its own is its own root: site-packages belong to everybody.
        """
        from mdnbench.registry.places import kind_of, root_of

        if self.path is not None:
            return self.folder or root_of(self.path)
        origin = _origin(self.value)
        if kind_of(origin) == "other" and not self.ours:
            return root_of(origin)
        return origin.parent if origin.name == "__init__.py" else origin


def all_of(given: Iterable[Path]) -> tuple[Door, ...]:
    """Return every source: installed packages, then the files of the folder, then those that were given."""
    files = dict.fromkeys([*_folder_files(), *given])
    return (*_installed(), *_no_folder(), *map(_file, files))


def installed() -> tuple[Door, ...]:
    """Return the sources that are installed, in the order of their names."""
    return _installed()


def _installed() -> tuple[Door, ...]:
    """The doors of entry points, looked for anew when something was installed since."""
    times = []
    for entry in sys.path:
        with contextlib.suppress(OSError):
            times.append((entry, Path(entry or ".").stat().st_mtime_ns))
    return _entry_points(tuple(times))


@lru_cache(maxsize=4)
def _entry_points(places: tuple[tuple[str, int], ...]) -> tuple[Door, ...]:
    return tuple(_walked())


def _walked() -> Iterator[Door]:
    """The entry points, walked one by one: pluggy's own loader skips a second one of the same name."""
    seen = set()
    for point in sorted(metadata.entry_points(group=hookspecs.GROUP), key=lambda point: (point.name, point.value)):
        package = point.dist.name if point.dist else "?"
        if (point.name, point.value, package) not in seen:
            seen.add((point.name, point.value, package))
            version = point.dist.version if point.dist else "?"
            yield Door(
                point.name, f"{point.value} ({package} {version})", value=point.value, distribution=package,
                version=version, ours=package == OURS,
            )  # fmt: skip


def _folder() -> Path | None:
    named = os.environ.get("MDNBENCH_PLUGINS")
    return paths.expanded(named).resolve() if named else None


def _folder_files() -> list[Path]:
    folder = _folder()
    return [path for path in sorted(folder.glob("*.py")) if _is_plugin(path.name)] if folder else []


def _is_plugin(name: str) -> bool:
    """Whether a file of the folder is taken for a plugin: tests and private modules may lie next to plugins."""
    return not name.startswith(("_", "test_")) and name != "conftest.py"


def _no_folder() -> Iterator[Door]:
    """A broken source if MDNBENCH_PLUGINS names no folder: what it should bring is missing."""
    folder = _folder()
    if folder and not folder.is_dir():
        why = f"it names {folder}, which is no folder; make it, or set the variable to the one that you mean."
        yield Door("MDNBENCH_PLUGINS", "MDNBENCH_PLUGINS", fault=why)


def _file(path: Path) -> Door:
    """The source of a file, with the digests of its text."""
    try:
        content = path.read_bytes()
    except OSError as error:
        why = f"it cannot be read: {error.strerror or error}." if path.is_file() else f"there is no file {path}."
        return Door(path.stem, str(path), path, fault=why)
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix != ".py":
        return Door(path.stem, str(path), path, digest, digest, fault="it is no Python file; its name must end in .py.")
    from mdnbench.registry.places import root_of

    return Door(path.stem, str(path), path, digest, _code_of(content), folder=root_of(path))


@lru_cache(maxsize=64)
def _code_of(content: bytes) -> str:
    from mdnbench.registry.syntax import syntax_digest

    return syntax_digest(content)


def _origin(value: str) -> Path:
    """The file of the top-level module that an entry point names, found without importing it."""
    top = value.partition(":")[0].strip().partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec and spec.origin and spec.has_location:
        return Path(spec.origin)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return Path(folders[0], "__init__.py") if folders else Path(top)  # a namespace package; or nothing at all
