"""Collect file accesses: which files this process and its children have read, and which they have written.

The audit hook (`hook`) reports the accesses of Python code. The system (`opens`) reports those of C code and of child
programs.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from mdnbench.registry.audit_hook import APPENDED, MADE, READ, WRITTEN, Notes
from mdnbench.registry.file_origin import is_regular, kind_of
from mdnbench.registry.file_watch import FileWatch
from mdnbench.registry.loaded_modules import MODULES


class Accesses:
    """The file accesses of this process and its children since `begin`.

    Args:
        root: The plugin's repository or folder.
        watched: Folders whose files `opened` reports even if C code opens them.

    """

    def __init__(self, root: Path, watched: Sequence[Path]) -> None:
        self.notes = Notes(watched)
        self._dropping = False  # whether something was written since `settle` that may have been read first
        self._root = root
        self._watched = tuple(watched)
        self._opens: FileWatch | None = None
        self._began = 0
        self._unread: dict[str, str] = {}  # paths that were read, for take()
        self._unreported: dict[str, None] = {}  # the same, for opened()
        self._written: set[str] = set()
        self._appended: set[str] = set()
        self._made: set[str] = set()
        self._updated: dict[str, int] = {}  # files opened for update, and their last modification times

    def begin(self, began: int) -> None:
        """Start to record accesses.

        Args:
            began: The present time in nanoseconds. A file that is opened for update counts as unchanged if it is older.

        """
        self._began = began
        self.notes.prepare()
        self._opens = FileWatch([self._root], self._watched)
        self.notes.start()

    def close(self) -> None:
        """Stop recording."""
        self.notes.stop()
        if self._opens:
            self._opens.close()

    def gather(self) -> None:
        """Collect the accesses of this process and its children since the last call."""
        for path, what in self.notes.take():
            self._add(path, what)
        for path, what in self.notes.take_of_children():
            self._add(path, what, child=True)
        self.poll(frozenset())

    def poll(self, ours: frozenset[str]) -> None:
        """Collect the files that C code and child programs opened.

        Args:
            ours: The real paths of files that mdnbench itself has read, which are left out.

        """
        if self._opens is None:
            return
        opened = self._opens.poll()
        for path in self._opens.written:
            self._add(path, WRITTEN)
        for path in self._opens.made:
            self._add(path, MADE)
        self._opens.written.clear()
        self._opens.made.clear()
        for path in opened:
            if os.path.realpath(path) not in ours:
                # If the system does not report which process opened a file, that opening must not make a cell invalid.
                self._add(path, READ, child=True, report=self._opens.exact)

    def _add(self, path: str, what: str, *, child: bool = False, report: bool = True) -> None:
        if "\0" in path:
            return
        if what == WRITTEN:
            self.add_written(path)
        elif what == APPENDED:
            self._dropping = True
            self._appended.add(os.path.realpath(path))
        elif what == MADE:
            self._dropping = True
            self._made.add(os.path.join(os.path.realpath(path), ""))  # noqa: PTH118
        else:
            # In this process sys.modules lists the loaded modules; a package's source may be opened only to be shown.
            if not path.endswith(MODULES) or child or kind_of(path) != "installed":
                self._unread.setdefault(path, what)
            if report:
                self._unreported[path] = None

    def add_written(self, path: str) -> None:
        """Record that a file was written; creating a link does not write the file that the link points to."""
        with contextlib.suppress(OSError):
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode) or (found.st_nlink > 1 and found.st_mtime_ns < self._began):
                return
        self._dropping = True
        self._written.add(os.path.realpath(path))

    def waiting(self) -> bool:
        """Return whether something was read, or may have been written, since the last `take` and `settle`."""
        return bool(self._unread or self._updated or self._dropping)

    def take(self) -> dict[str, str]:
        """Return, once, the paths that were opened to read or to update, each with the kind of access."""
        taken, self._unread = self._unread, {}
        return taken

    def opened(self) -> tuple[Path, ...]:
        """Return the real paths of files opened for reading since the last call, in any folder.

        Python files and compiled files of the standard library and of installed packages are left out.
        """
        reported, self._unreported = self._unreported, {}
        found = set()
        for path in reported:
            if path.endswith(MODULES) and kind_of(path) in ("standard", "installed"):
                continue
            real = os.path.realpath(path)
            if is_regular(real):
                found.add(real)
        return tuple(Path(path) for path in sorted(found))

    def is_written(self, real: str) -> bool:
        """Return whether a file was written, or is in a folder that was created.

        Args:
            real: The real path of the file.

        """
        if real in self._appended and self._is_young(real):  # opened for appending, and changed
            return True
        return real in self._written or (bool(self._made) and real.startswith(tuple(self._made)))

    def _is_young(self, path: str) -> bool:
        with contextlib.suppress(OSError):
            return os.stat(path).st_mtime_ns >= self._began  # noqa: PTH116
        return True

    def unchanged(self, path: str) -> bool:
        """Return whether a file that is open for update has not changed yet."""
        try:
            modified = os.stat(path).st_mtime_ns  # noqa: PTH116
        except OSError:
            return False
        return modified < self._began and self._updated.setdefault(path, modified) == modified

    def settle(self) -> bool:
        """Record updated files that have changed as written.

        Returns:
            Whether anything was written since the last call.

        """
        for path in list(self._updated):
            if not self.unchanged(path):
                self.add_written(path)
                del self._updated[path]
        dropping, self._dropping = self._dropping, False
        return dropping
