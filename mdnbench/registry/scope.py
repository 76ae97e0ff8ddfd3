"""The scope of a plugin: which of the files that were opened, and are none of a package, may count."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import tempfile
from pathlib import Path

from mdnbench.registry import opens
from mdnbench.registry.loaded import BYTECODE, MODULES
from mdnbench.registry.places import is_below, is_regular, prefixes, too_wide
from mdnbench.util import paths

CACHES = (*BYTECODE, ".nbi", ".nbc", ".lock")  # of Python and Numba, and what holds nothing
SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/run", "/System", "/Library", "/private/etc")


class Scope:
    """The folders that decide whether a file counts, and the time at which files must have been there.

    Args:
        root: the plugin's repository or folder.
        began: a time in nanoseconds; outside the root younger files do not count.

    """

    def __init__(self, root: Path, began: int) -> None:
        self._began = began
        self._roots = prefixes([root])
        self._home = prefixes([paths.home()])
        self._foreign = prefixes(_elsewhere())

    def below_root(self, path: str) -> str:
        """Return the path below the root, or nothing. A symlink below the root is a file of the root."""
        for each in (path, os.path.realpath(path)):
            for root in self._roots:
                if each.startswith(root):
                    return each[len(root) :]
        return ""

    def in_home(self, path: str) -> bool:
        """Return whether a path is below MDNBENCH_HOME."""
        return is_below(path, self._home)

    def may_count(self, path: str) -> bool:
        """Return whether a file that was opened, and is none of a package, counts."""
        if path.endswith(CACHES) or self.in_home(path):
            return False
        inner = self.below_root(path)
        parts = Path(inner or path).parts
        if opens.BYTECODE in parts or not opens.SKIPPED.isdisjoint(parts):
            return False
        if is_regular(path):
            return bool(inner) or self._is_input(path)
        return bool(inner) and not path.endswith(MODULES) and not os.path.lexists(path)

    def _is_input(self, path: str) -> bool:
        """Whether a file outside the root may be one that numbers come from."""
        if is_below(path, self._foreign):
            return False
        with contextlib.suppress(OSError):
            return os.stat(path).st_ctime_ns < self._began  # noqa: PTH116
        return False


def _elsewhere() -> list[Path | str]:
    """Folders with nothing that a plugin brought: of the system, of Python, for temporary files, and of data sets."""
    folders: list[Path | str] = [*SYSTEM, tempfile.gettempdir(), *paths.data_folders()]
    folders += [os.environ[name] for name in ("SystemRoot", "ProgramFiles") if os.environ.get(name)]
    folders += [path for path in (*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix) if path]
    return [folder for folder in folders if not too_wide(Path(folder)) or folder == tempfile.gettempdir()]
