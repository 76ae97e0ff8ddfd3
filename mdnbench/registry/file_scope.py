"""Decide which of the opened files that belong to no package may have influenced a plugin's results."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import tempfile
from pathlib import Path

from mdnbench.registry import file_watch
from mdnbench.registry.file_origin import is_below, is_regular, prefixes, too_wide
from mdnbench.registry.loaded_modules import BYTECODE, MODULES
from mdnbench.util import paths

CACHES = (*BYTECODE, ".nbi", ".nbc", ".lock")  # caches of Python and Numba, and lock files, which are empty
SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/run", "/System", "/Library", "/private/etc")


class Scope:
    """The folders, and the time, that decide whether an opened file counts.

    Args:
        root: The plugin's repository or folder.
        began: A time in nanoseconds. Outside the root, files that are younger do not count.

    """

    def __init__(self, root: Path, began: int) -> None:
        self._began = began
        self._roots = prefixes([root])
        self._home = prefixes([paths.home()])
        self._foreign = prefixes(_elsewhere())

    def below_root(self, path: str) -> str:
        """Return the path relative to the root; "" if it is not below it. A symlink below the root counts as below."""
        for each in (path, os.path.realpath(path)):
            for root in self._roots:
                if each.startswith(root):
                    return each[len(root) :]
        return ""

    def in_home(self, path: str) -> bool:
        """Return whether a path is below MDNBENCH_HOME."""
        return is_below(path, self._home)

    def may_count(self, path: str) -> bool:
        """Return whether an opened file that belongs to no package counts."""
        if path.endswith(CACHES) or self.in_home(path):
            return False
        inner = self.below_root(path)
        parts = Path(inner or path).parts
        if file_watch.BYTECODE in parts or not file_watch.SKIPPED.isdisjoint(parts):
            return False
        if is_regular(path):
            return bool(inner) or self._is_input(path)
        return bool(inner) and not path.endswith(MODULES) and not os.path.lexists(path)

    def _is_input(self, path: str) -> bool:
        """Return whether a file outside the root may be an input of the plugin's results."""
        if is_below(path, self._foreign):
            return False
        with contextlib.suppress(OSError):
            return os.stat(path).st_ctime_ns < self._began  # noqa: PTH116
        return False


def _elsewhere() -> list[Path | str]:
    """Return folders without files of a plugin: of the system, of Python, for temporary files, and of data sets."""
    folders: list[Path | str] = [*SYSTEM, tempfile.gettempdir(), *paths.data_folders()]
    folders += [os.environ[name] for name in ("SystemRoot", "ProgramFiles") if os.environ.get(name)]
    folders += [path for path in (*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix) if path]
    return [folder for folder in folders if not too_wide(Path(folder)) or folder == tempfile.gettempdir()]
