"""The audit hook: what Python code of this process, and of its forked children, does with which paths."""

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

from mdnbench.registry.places import prefixes

# What was done with a path; one byte each in the log of children.
READ, UPDATED, APPENDED, WRITTEN, MADE = "r", "u", "a", "w", "m"

_ACCESS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
_MAKES = os.O_CREAT | os.O_TRUNC | os.O_APPEND

_READING = (None, "r", "rb")
_CHANGES = _ACCESS | _MAKES

_current: Notes | None = None
_hooked = False


class Notes:
    """Collect what the hook sees until it is taken; one object a process is the current one.

    Args:
        watched: folders of which each opening by a child is noted, not the first one alone.

    """

    def __init__(self, watched: Sequence[Path]) -> None:
        self.imported = True  # whether sys.modules may have changed
        self.busy = 0  # the thread that is reading digests: what it opens is not the plugin's
        self._watched = prefixes(watched)
        self._noted: deque[tuple[str, str]] = deque()
        self._log = ChildLog()

    def prepare(self) -> None:
        """Make the log of children."""
        self._log.make()

    def start(self) -> None:
        """Note what happens from now on; the hook is installed once and for good: Python cannot remove one."""
        global _current, _hooked
        if not _hooked:
            _hooked = True
            sys.addaudithook(_hook)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=_forked)
        _current = self

    def stop(self) -> None:
        """Stop noting: the hook, which cannot be removed, does nothing from now on."""
        global _current
        if _current is self:
            _current = None
        self._log.close()

    def take(self) -> Iterator[tuple[str, str]]:
        """Yield, once, each path that this process did something with, and what."""
        while self._noted:
            yield self._noted.popleft()

    def take_of_children(self) -> Iterator[tuple[str, str]]:
        """Yield the same of its forked children."""
        yield from self._log.read()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Note nothing that this thread does inside the `with` block: that is not the plugin's."""
        self.busy = threading.get_ident()
        try:
            yield
        finally:
            self.busy = 0

    def add(self, path: object, what: str) -> None:
        """Note what was done with a path; called by the hook, so quick and without errors."""
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str) or not path:
            return  # a descriptor
        if not os.path.isabs(path):  # noqa: PTH117 (called at each opening)
            try:
                path = os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118
            except OSError:
                return
        self.add_absolute(path, what)

    def add_absolute(self, path: str, what: str) -> None:
        """Note what was done with an absolute path."""
        if self._log.is_child:
            self._log.write(path, what, again=path.startswith(self._watched))
        else:
            self._noted.append((path, what))

    def become_child(self) -> None:
        """Write to the log from now on: this process has been forked."""
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
    """`open` and `os.open`: the path, a mode (or None) and flags."""
    if len(args) != 3:
        return
    path, mode, flags = args
    if mode in _READING and type(flags) is int and not flags & _CHANGES and type(path) is str and path[:1] == "/":
        notes.add_absolute(path, READ)  # nearly every opening, without more questions
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
    """`import`: the module's name, and the file if it is a compiled one."""
    notes.imported = True
    if len(args) > 1 and args[1] is not None:
        notes.add(args[1], READ)


def _loaded(notes: Notes, args: tuple[Any, ...]) -> None:
    """`ctypes.CDLL`: a path, or a name that the system looks for."""
    if args and isinstance(args[0], str) and os.path.dirname(args[0]):  # noqa: PTH120
        notes.add(args[0], READ)


def _connected(notes: Notes, args: tuple[Any, ...]) -> None:
    """`sqlite3.connect`: opened for update, by C code."""
    if args and isinstance(args[0], str | bytes) and args[0] not in ("", ":memory:"):
        notes.add(args[0], UPDATED)


def _moved(notes: Notes, args: tuple[Any, ...]) -> None:
    """`os.rename`, `os.replace`: a source and a target, files or folders. A link writes nothing."""
    if len(args) > 1 and args[0] != args[1]:
        notes.add(args[1], WRITTEN)
        notes.add(args[1], MADE)


def _made(notes: Notes, args: tuple[Any, ...]) -> None:
    """`os.mkdir`, which is called for folders that exist already as well."""
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
    """What forked children did, in a file without a name that they inherit and only append to."""

    def __init__(self) -> None:
        self.is_child = False
        self._fd = -1
        self._which: tuple[int, int] | None = None
        self._read_to = 0
        self._noted: set[tuple[str, str]] = set()

    def make(self) -> None:
        """Make the file, where processes can fork."""
        try:
            import fcntl
        except ImportError:  # Windows, where nothing forks
            return
        with contextlib.suppress(OSError), tempfile.TemporaryFile() as file:
            # A number that a plugin's own descriptors hardly reach.
            self._fd = fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 64)
            fcntl.fcntl(self._fd, fcntl.F_SETFL, os.O_APPEND)
            self._which = self._now()

    def write(self, path: str, what: str, *, again: bool) -> None:
        """Add a line, in a child; each once unless it is wanted again, since a child may open one file without end."""
        if (again or (path, what) not in self._noted) and self._is_ours():
            self._noted.add((path, what))
            with contextlib.suppress(OSError):
                os.write(self._fd, f"{what}{path}\0".encode("utf-8", "surrogateescape"))

    def read(self) -> Iterator[tuple[str, str]]:
        """Yield what was added since the last call, in the parent: paths, and what was done with them."""
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
        """Close the file, if a plugin has not."""
        if self._which is not None and self._is_ours():
            os.close(self._fd)
        self._which = None

    def _is_ours(self) -> bool:
        """Whether the descriptor is still this file: a plugin may have closed it, and opened another."""
        return self._which is not None and self._now() == self._which

    def _now(self) -> tuple[int, int] | None:
        try:
            found = os.fstat(self._fd)
        except OSError:
            return None
        return found.st_dev, found.st_ino
