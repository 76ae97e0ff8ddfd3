"""List loaded modules: their files, which of them are new, and which were loaded before a plugin."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from mdnbench.registry.code import PYTHON

BYTECODE = (".pyc", ".pyo")
COMPILED = (".so", ".pyd", ".dll", ".dylib")
MODULES = (*PYTHON, *BYTECODE, *COMPILED)


class LoadedModules:
    """The modules of this process; the ones that are loaded when the object is created are the baseline."""

    def __init__(self) -> None:
        self._baseline = frozenset(sys.modules)
        self._named: set[str] = set()  # names that `new_modules` has yielded
        self._known: dict[str, int] = {}  # by name, the id of each module that was examined
        for name, module in list(sys.modules.items()):
            if not name.startswith("mdnbench."):  # modules of mdnbench count no matter when they were loaded
                self._known[name] = id(module)

    def new_files(self) -> Iterator[str]:
        """Yield the files of modules that were loaded or replaced since the last call."""
        for name, module in list(sys.modules.items()):
            if self._known.get(name) != id(module):
                self._known[name] = id(module)
                if file := file_of(module):
                    yield file

    def new_modules(self) -> Iterator[tuple[str, str]]:
        """Yield the names and files of modules outside the baseline, each once."""
        for name, module in list(sys.modules.items()):
            if name not in self._baseline and name not in self._named and (file := file_of(module)):
                self._named.add(name)
                yield name, file

    def in_baseline(self, top: str) -> bool:
        """Return whether a top-level module is in the baseline."""
        return top in self._baseline

    def files_below(self, top: str) -> Iterator[str]:
        """Yield the files of the baseline modules that are this top-level module or inside it."""
        for name in self._baseline:
            inside = name == top or name.startswith(f"{top}.")
            if inside and (file := file_of(sys.modules.get(name))):
                yield file


def file_of(module: object) -> str | None:
    """Return the file of a module, or None; a lazy module stays unloaded."""
    try:
        file = vars(module).get("__file__") if module is not None else None
    except TypeError:  # the entry in sys.modules is no module
        file = None
    return os.path.abspath(file) if isinstance(file, str) else None  # noqa: PTH100


def would_hide(name: str, file: str) -> Iterator[str]:
    """Yield the files that Python would load in place of a module's file if they existed.

    For `x.py` that is the package `x` in the same folder. For a top-level module it is also the module or the package
    `x` in each earlier folder of `sys.path`. There are none for a module whose name is not that of its file, such as a
    plugin file, because Python did not find it by its name.

    Args:
        name: The module's full name.
        file: Its file.
    """
    leaf = name.rpartition(".")[2]
    here = Path(file).parent
    if not here.is_dir():  # inside an archive, which counts as a whole
        return
    stem = Path(file).name.partition(".")[0]
    if stem == "__init__":
        stem, here = here.name, here.parent
    if stem != leaf:
        return
    if "." not in name:
        for entry in sys.path:
            folder = Path(entry or ".").absolute()
            if folder == here:
                break
            yield str(folder / leaf / "__init__.py")
            yield str(folder / f"{leaf}.py")
    if Path(file).name != "__init__.py":
        yield str(here / leaf / "__init__.py")


def container_of(file: str) -> str:
    """Return the archive that contains a module's file, or the file itself if it is in no archive."""
    path = Path(file)
    if not path.exists():
        for above in path.parents:
            if above.is_file():
                return str(above)
            if above.exists():
                break
    return file
