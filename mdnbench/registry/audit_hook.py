"""Record which paths Python code accesses in this process and in its forked children, through an audit hook."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mdnbench.registry.file_origin import prefixes

# The kinds of access; each is one byte in the log of children.
READ, UPDATED, APPENDED, WRITTEN, MADE = "r", "u", "a", "w", "m"

_ACCESS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
_MAKES = os.O_CREAT | os.O_TRUNC | os.O_APPEND

_READING = (None, "r", "rb")
_CHANGES = _ACCESS | _MAKES

_current: Notes | None = None
_hooked = False


class Notes:
    """The accesses that the audit hook has recorded; one object per process is the current one.

    Args:
        watched: Folders in which every opening by a child is recorded. Elsewhere only the first one is.

    """

    def __init__(self, watched: Sequence[Path]) -> None:
        self.imported = True  # whether sys.modules may have changed
        self.busy = 0  # the thread that is reading digests: the plugin does not cause what it opens
        self._watched = prefixes(watched)
        self._noted: deque[tuple[str, str]] = deque()
        self._log = ChildLog()

    def prepare(self) -> None:
        """Create the log of the forked children."""
        self._log.make()

    def start(self) -> None:
        """Start recording. The hook is installed once and stays installed, because Python cannot remove it."""
        global _current, _hooked
        if not _hooked:
            _hooked = True
            sys.addaudithook(_hook)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=_forked)
        _current = self

    def stop(self) -> None:
        """Stop recording. The hook stays installed but does nothing from now on."""
        global _current
        if _current is self:
            _current = None
        self._log.close()

    def take(self) -> Iterator[tuple[str, str]]:
        """Yield, once, each path that this process accessed and the kind of access."""
        while self._noted:
            yield self._noted.popleft()

    def take_of_children(self) -> Iterator[tuple[str, str]]:
        """Yield, once, each path that the forked children accessed and the kind of access."""
        yield from self._log.read()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Record nothing that this thread does inside the `with` block, because it is not done by the plugin."""
        self.busy = threading.get_ident()
        try:
            yield
        finally:
            self.busy = 0

    def add(self, path: object, what: str) -> None:
        """Record an access to a path. The hook calls this method, so it must be quick and must not raise."""
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str) or not path:
            return  # a file descriptor
        if not os.path.isabs(path):  # noqa: PTH117 (called at each opening)
            try:
                path = os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118
            except OSError:
                return
        self.add_absolute(path, what)

    def add_absolute(self, path: str, what: str) -> None:
        """Record an access to an absolute path."""
        if self._log.is_child:
            self._log.write(path, what, again=path.startswith(self._watched))
        else:
            self._noted.append((path, what))

    def become_child(self) -> None:
        """Write to the log from now on, because this process has been forked."""
        self._noted.clear()
        self.busy = 0
        self._log.is_child = True


def _hook(event: str, args: tuple[Any, ...]) -> None:
    note = _EVENTS.get(event)
    if note is None:
        return
    notes = _current
    if notes is not None and (notes.busy == 0 or notes.busy != threading.get_ident()):
        note(notes, args)


def _forked() -> None:
    if _current is not None:
        _current.become_child()


def _opened(notes: Notes, args: tuple[Any, ...]) -> None:
    """Record `open` and `os.open`; the arguments are the path, a mode (or None) and flags."""
    if len(args) != 3:
        return
    path, mode, flags = args
    if mode in _READING and type(flags) is int and not flags & _CHANGES and type(path) is str and path[:1] == "/":
        notes.add_absolute(path, READ)  # a short path through the function for nearly all openings
        return
    what = READ
    if isinstance(flags, int):
        access = flags & _ACCESS
        if access == os.O_WRONLY or flags & _MAKES:
            what = WRITTEN
        elif access == os.O_RDWR:
            what = UPDATED
    if isinstance(flags, int) and what == WRITTEN and flags & os.O_APPEND and not flags & os.O_TRUNC:
        what = APPENDED
    elif isinstance(mode, str) and what != WRITTEN and mode[:1] in ("w", "a", "x"):
        what = WRITTEN
    elif isinstance(mode, str) and what == READ and "+" in mode:
        what = UPDATED
    notes.add(path, what)


def _imports(notes: Notes, args: tuple[Any, ...]) -> None:
    """Record `import`; the arguments are the module's name, and the file if it is a compiled module."""
    notes.imported = True
    if len(args) > 1 and args[1] is not None:
        notes.add(args[1], READ)


def _loaded(notes: Notes, args: tuple[Any, ...]) -> None:
    """Record `ctypes.CDLL`; the argument is a path, or a name that the system searches for."""
    if args and isinstance(args[0], str) and os.path.dirname(args[0]):  # noqa: PTH120
        notes.add(args[0], READ)


def _connected(notes: Notes, args: tuple[Any, ...]) -> None:
    """Record `sqlite3.connect`, whose C code opens the file for update."""
    if args and isinstance(args[0], str | bytes) and args[0] not in ("", ":memory:"):
        notes.add(args[0], UPDATED)


def _moved(notes: Notes, args: tuple[Any, ...]) -> None:
    """Record `os.rename` and `os.replace`; the arguments are a source and a target, files or folders.

    A rename of a path to itself changes nothing.
    """
    if len(args) > 1 and args[0] != args[1]:
        notes.add(args[1], WRITTEN)
        notes.add(args[1], MADE)


def _made(notes: Notes, args: tuple[Any, ...]) -> None:
    """Record `os.mkdir`, which is also called for folders that already exist."""
    if args and isinstance(args[0], str | bytes) and not os.path.lexists(args[0]):
        notes.add(args[0], MADE)


def _truncated(notes: Notes, args: tuple[Any, ...]) -> None:
    if args:
        notes.add(args[0], WRITTEN)


_EVENTS: dict[str, Callable[[Notes, tuple[Any, ...]], None]] = {
    "open": _opened,
    "import": _imports,
    "ctypes.dlopen": _loaded,
    "sqlite3.connect": _connected,
    "os.rename": _moved,
    "os.mkdir": _made,
    "os.truncate": _truncated,
}


class ChildLog:
    """The file accesses of forked children, in an unnamed file that they inherit and only append to."""

    def __init__(self) -> None:
        self.is_child = False
        self._fd = -1
        self._which: tuple[int, int] | None = None
        self._read_to = 0
        self._noted: set[tuple[str, str]] = set()

    def make(self) -> None:
        """Create the file on systems that can fork."""
        try:
            import fcntl
        except ImportError:  # Windows, where nothing forks
            return
        with contextlib.suppress(OSError), tempfile.TemporaryFile() as file:
            # At least 64: the descriptors that a plugin opens rarely reach that number.
            self._fd = fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 64)
            fcntl.fcntl(self._fd, fcntl.F_SETFL, os.O_APPEND)
            self._which = self._now()

    def write(self, path: str, what: str, *, again: bool) -> None:
        """Add an access, in a child.

        Args:
            path: The path.
            what: The kind of access (see `hook`).
            again: Add it even if it was added before. By default each access is added once, because a child may open
                the same file any number of times.

        """
        if (again or (path, what) not in self._noted) and self._is_ours():
            self._noted.add((path, what))
            with contextlib.suppress(OSError):
                os.write(self._fd, f"{what}{path}\0".encode("utf-8", "surrogateescape"))

    def read(self) -> Iterator[tuple[str, str]]:
        """Yield the accesses added since the last call, in the parent: each path and the kind of access."""
        if self._which is None:
            return
        with contextlib.suppress(OSError):
            if not self._is_ours():
                return
            size = os.fstat(self._fd).st_size
            if size == self._read_to:
                return
            text = os.pread(self._fd, size - self._read_to, self._read_to)
            whole = text[: text.rfind(b"\0") + 1]
            self._read_to += len(whole)
            for line in whole.split(b"\0")[:-1]:
                yield line[1:].decode("utf-8", "surrogateescape"), line[:1].decode()

    def close(self) -> None:
        """Close the file unless a plugin has closed it."""
        if self._which is not None and self._is_ours():
            os.close(self._fd)
        self._which = None

    def _is_ours(self) -> bool:
        """Return whether the descriptor is still this file; a plugin may have closed it and opened another."""
        return self._which is not None and self._now() == self._which

    def _now(self) -> tuple[int, int] | None:
        try:
            found = os.fstat(self._fd)
        except OSError:
            return None
        return found.st_dev, found.st_ino
