"""The doors through which plugins come in, and how each is imported.

They are the entry points of installed packages, files given with `--plugin`, and the folder MDNBENCH_PLUGINS.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import NoReturn, TypeAlias

from mdnbench import hookspecs, paths
from mdnbench.digests import of_parts
from mdnbench.errors import BadPlugin


@dataclass(frozen=True, slots=True)
class Door:
    """Where a plugin came in: its name, an address to show, and for a file its path and digest."""

    name: str
    address: str
    path: Path | None = None
    digest: str = ""


Opening: TypeAlias = "tuple[Door, Callable[[], ModuleType]]"  # a door, and what imports the plugin behind it


def all_of(given: Iterable[Path]) -> Iterator[Opening]:
    """Every door: installed packages, then the files of the folder, then those that were given."""
    yield from _installed()
    yield from _no_folder()
    yield from map(_file, dict.fromkeys([*_folder_files(), *given]))


def _installed() -> Iterator[Opening]:
    """The entry points, walked one by one: pluggy's own loader skips a second one of the same name."""
    seen = set()
    for point in sorted(metadata.entry_points(group=hookspecs.GROUP), key=lambda point: (point.name, point.value)):
        package = point.dist.name if point.dist else "?"
        if (point.name, point.value, package) not in seen:
            seen.add((point.name, point.value, package))
            version = point.dist.version if point.dist else "?"
            yield Door(point.name, f"{point.value} ({package} {version})"), point.load


def _folder() -> Path | None:
    named = os.environ.get("MDNBENCH_PLUGINS")
    return paths.expanded(named).resolve() if named else None


def _folder_files() -> list[Path]:
    folder = _folder()
    return sorted(folder.glob("*.py")) if folder else []


def _no_folder() -> Iterator[Opening]:
    """The folder MDNBENCH_PLUGINS where it is none: a broken plugin, for what it should bring is missing."""
    folder = _folder()
    if folder and not folder.is_dir():
        why = f"it names {folder}, which is no folder; make it, or set the variable to the one that you mean."
        yield Door("MDNBENCH_PLUGINS", "MDNBENCH_PLUGINS"), partial(_refuse, why)


def _file(path: Path) -> Opening:
    """The door of a file, and what imports it; it is read once, so that its digest is of the text that runs."""
    try:
        content = path.read_bytes()
    except OSError as error:
        why = f"it cannot be read: {error.strerror or error}." if path.is_file() else f"there is no file {path}."
        return Door(path.stem, str(path), path), partial(_refuse, why)
    digest = hashlib.sha256(content).hexdigest()
    return Door(path.stem, str(path), path, digest), partial(_import_file, path, digest, content)


def _refuse(why: str) -> NoReturn:
    raise BadPlugin(why)


class _AsRead(SourceFileLoader):
    """Imports a file's text as it was read; Python's own way is to read it again, or a .pyc of an earlier text."""

    def __init__(self, name: str, path: str, content: bytes) -> None:
        super().__init__(name, path)
        self._content = content

    def get_code(self, fullname: str) -> CodeType:
        """The code of that text."""
        return self.source_to_code(self._content, self.path)


def _import_file(path: Path, digest: str, content: bytes) -> ModuleType:
    name = f"mdnbench_file_{of_parts(str(path), digest)[:12]}"  # a copy elsewhere is another plugin
    if name in sys.modules:
        return sys.modules[name]
    if path.suffix != ".py":
        raise ImportError("not a Python file; its name must end in .py")
    loader = _AsRead(name, str(path), content)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
