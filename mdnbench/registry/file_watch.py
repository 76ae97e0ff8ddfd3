"""Watch which files are opened by code that Python's audit hook does not see: C code and child programs.

On Linux this uses fanotify, which reports the process that opened a file: only this process and its descendants count.
If the system does not allow fanotify (an old kernel, a container), it uses inotify, which does not report the process.
Then every opening counts, by whichever process, and folders that are only `watched` are not watched at all. On other
systems nothing is seen; there, plugins list their files in `files=` of the spec.

Limits; all of them lead to too few files unless stated otherwise:
- Sub-folders are listed once, at the start, and at most 4,000 of them. A folder created later is not watched.
- Without privileges the system names only this process itself: files that C code of its children opens are not seen.
  (The audit hook sees the files that their Python code opens.)
- For a process that has ended before `poll`, the parent cannot be determined any more. It counts if this process
  waited for a child since the last call, or still has one; so an opening by another program may count by mistake.
  It does not if a third program writes the file at the time: such a file is a log or the like.
- If more than 16,384 openings wait, the system drops the rest.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mdnbench.registry.file_origin import too_wide
from mdnbench.util.limits import MAX_WATCHED_ENTRIES, MAX_WATCHED_FOLDERS

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# Folders whose files no method's results depend on.
_TOOLS = (".git", ".hg", ".svn", ".venv", "node_modules", ".tox", ".nox", ".eggs", ".idea", ".vscode", ".benchmarks")
_CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".ipynb_checkpoints")
SKIPPED = frozenset((".mdnbench", *_TOOLS, *_CACHES))
BYTECODE = "__pycache__"  # an opened .pyc stands for its module
BUFFER = 1 << 16

# The numbers are the same for fanotify and inotify.
_MODIFY, _OPEN, _MOVED_TO, _CREATE = 0x2, 0x20, 0x80, 0x100
_FOLDER, _ON_CHILD = 0x4000_0000, 0x0800_0000
_WRITTEN = _MODIFY | _MOVED_TO | _CREATE


@dataclass(frozen=True, slots=True)
class _Event:
    """Something that happened to a path; `pid` is None if the system does not report it."""

    path: str
    mask: int
    pid: int | None


class _SystemWatch(Protocol):
    """One of the system's interfaces for watching folders."""

    def add(self, folder: str) -> None: ...

    def read(self) -> Iterator[_Event]: ...

    def close(self) -> None: ...


class FileWatch:
    """The files that this process and its descendants opened below some folders.

    Args:
        folders: Folders that are watched with fanotify or inotify.
        watched: Folders that are watched only if the system reports which process opened a file (`exact`).
        exact: False disables fanotify, as on a system that does not allow it.

    Attributes:
        exact: Whether only the openings of this process and its descendants are seen.
        written: The paths of files that were created, changed or moved to their place.
        made: The paths of folders that were created or moved to their place.

    """

    def __init__(self, folders: Sequence[Path], watched: Sequence[Path] = (), *, exact: bool = True) -> None:
        self.written: set[str] = set()
        self.made: set[str] = set()
        self._pid = os.getpid()
        self._reaped = _reaped()
        self._others: set[str] = set()  # paths of files that other programs have written since this watch began
        self.exact = False
        self._watch: _SystemWatch | None = None
        if not sys.platform.startswith("linux"):
            return
        if exact:
            with contextlib.suppress(OSError, AttributeError):
                self._watch = _started(_Fanotify(), folders)
                self.exact = True
        if self._watch is None:
            with contextlib.suppress(OSError, AttributeError):
                self._watch = _started(_Inotify(), folders)
        if self._watch and self.exact:
            _add_all(self._watch, watched, bytecode=False)

    def poll(self) -> set[str]:
        """Return the paths of files opened since the last call; these include the files in `written`."""
        if self._watch is None or os.getpid() != self._pid:  # a forked child must not take its parent's events
            return set()
        opened: set[str] = set()
        perhaps: set[str] = set()  # opened by processes that have ended and may have been our children
        openers = _Openers(self._pid)
        any_ended: bool | None = None
        for event in self._watch.read():
            ours: bool | None = True
            if event.pid is not None:
                ours = openers.ours(event.pid)
                if ours is None and any_ended is None:
                    any_ended = self._had_children()
                if ours is False or (ours is None and not any_ended):
                    if event.mask & _WRITTEN:
                        self._others.add(event.path)
                    continue
            if event.mask & _WRITTEN:
                (self.made if event.mask & _FOLDER else self.written).add(event.path)
            if event.mask & _OPEN and not event.mask & _FOLDER:
                (opened if ours else perhaps).add(event.path)
        self._reaped = _reaped()
        # Another program is writing some of these files, as with a log. A process that opened such a file and has ended
        # was probably not our child.
        return opened | (perhaps - self._others)

    def close(self) -> None:
        """Stop watching."""
        if self._watch and os.getpid() == self._pid:
            self._watch.close()
        self._watch = None

    def _had_children(self) -> bool:
        """Return whether a process that has ended may have been a child.

        It may if this process has waited for a child since the last call, or still has one.
        """
        if _reaped() != self._reaped:
            return True
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True


def _reaped() -> int:
    """Return a number that grows with each child that this process has waited for."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt if resource else 0


@dataclass(slots=True)
class _Openers:
    """A cache of which processes are this one or its descendants; each is looked up once."""

    own: int
    _known: dict[int, bool | None] = field(default_factory=dict)

    def ours(self, pid: int) -> bool | None:
        """Return whether a process is this one or a descendant; None if it has ended."""
        if pid not in self._known:
            self._known[pid] = self._ask(pid)
        return self._known[pid]

    def _ask(self, pid: int) -> bool | None:
        if pid == self.own:
            return True
        if pid <= 0:  # the system hides the process
            return False
        parent = _parent(pid)
        if parent is None:
            return None
        with contextlib.suppress(OSError):
            if os.getsid(pid) == self.own:  # the parent has ended, but this process leads the session
                return True
        while parent and parent != self.own:
            parent = _parent(parent)
        return parent == self.own


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 (called for each opening process)
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


# ---- Folders ---------------------------------------------------------------------------------------------------------


def _started(watch: _SystemWatch, folders: Sequence[Path]) -> _SystemWatch:
    """Return a watch of these folders and their sub-folders.

    Raises:
        OSError: The system refuses one of the folders.

    """
    try:
        for folder in folders:
            if folder.is_dir():
                watch.add(str(folder))
    except OSError:
        watch.close()
        raise
    _add_all(watch, folders, bytecode=isinstance(watch, _Fanotify))
    return watch


def _add_all(watch: _SystemWatch, folders: Sequence[Path], *, bytecode: bool) -> None:
    for folder in _walk(folders, bytecode=bytecode):
        try:
            watch.add(folder)
        except OSError as error:
            if error.errno in _NO_MORE:
                return


_NO_MORE = (12, 24, 28)  # ENOMEM, EMFILE, ENOSPC: the system's limit of watches


def _walk(folders: Sequence[Path], *, bytecode: bool) -> Iterator[str]:
    """Yield the folders and all their sub-folders once each, the nearest first; symlinks are followed.

    For a folder that is too large (the home folder), only the folder itself.
    """
    waiting = deque(str(folder) for folder in folders)
    wide = {str(folder) for folder in folders if too_wide(folder)}
    seen: set[tuple[int, int]] = set()
    entries = 0
    while waiting and len(seen) < MAX_WATCHED_FOLDERS and entries < MAX_WATCHED_ENTRIES:
        folder = waiting.popleft()
        with contextlib.suppress(OSError):
            found = os.stat(folder)  # noqa: PTH116
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            yield folder
            if folder in wide:
                continue
            with os.scandir(folder) as listed:
                for entry in listed:
                    entries += 1
                    if _goes_down(entry, bytecode):
                        waiting.append(entry.path)


def _goes_down(entry: os.DirEntry[str], bytecode: bool) -> bool:
    if entry.name in SKIPPED or (entry.name == BYTECODE and not bytecode):
        return False
    return entry.is_dir()


# ---- Interfaces of the system ----------------------------------------------------------------------------------------


def _chunks(fd: int, name: str) -> Iterator[bytes]:
    """Yield the bytes that can be read from a descriptor, if it is still ours.

    A plugin may have closed the descriptor and opened another one.
    """
    try:
        if os.readlink(f"/proc/self/fd/{fd}") != f"anon_inode:{name}":  # noqa: PTH115
            return
        while True:
            yield os.read(fd, BUFFER)
    except OSError:  # usually: nothing is left to read
        return


def _close(fd: int, name: str) -> None:
    with contextlib.suppress(OSError):
        if os.readlink(f"/proc/self/fd/{fd}") == f"anon_inode:{name}":  # noqa: PTH115
            os.close(fd)


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


class _Fanotify:
    """Linux 5.13 and later, without privileges: events with the folder's handle, the file's name and the process."""

    _CLOSE_ON_EXEC, _NONBLOCK, _DFID_NAME = 0x1, 0x2, 0xC00
    _MARK_ADD = 0x1
    _HERE = -100  # AT_FDCWD
    _FOLLOW = 0x400  # symlinks
    _HANDLE_FID = 0x200  # a handle that only identifies, for file systems that cannot open a file by its handle
    _LARGEST = 128  # bytes of a handle
    _DFID_NAME_RECORD = 2

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        here, path = ctypes.c_int, ctypes.c_char_p
        self._libc.fanotify_mark.argtypes = [here, ctypes.c_uint, ctypes.c_uint64, here, path]
        self._libc.name_to_handle_at.argtypes = [here, path, ctypes.c_void_p, ctypes.POINTER(here), here]
        flags = self._CLOSE_ON_EXEC | self._NONBLOCK | self._DFID_NAME
        self._fd = _checked(self._libc.fanotify_init(flags, os.O_RDONLY | os.O_CLOEXEC))
        self._folders: dict[bytes, str] = {}

    def add(self, folder: str) -> None:
        handle = self._handle(os.fsencode(folder))
        mask = _OPEN | _WRITTEN | _FOLDER | _ON_CHILD
        _checked(self._libc.fanotify_mark(self._fd, self._MARK_ADD, mask, self._HERE, os.fsencode(folder)))
        self._folders.setdefault(handle, folder)

    def _handle(self, folder: bytes) -> bytes:
        """Return the system's identifier of a folder as events contain it: the type of the handle and its bytes."""
        buffer = ctypes.create_string_buffer(8 + self._LARGEST)
        mount = ctypes.c_int()
        for flags in (self._FOLLOW, self._FOLLOW | self._HANDLE_FID):
            struct.pack_into("=Ii", buffer, 0, self._LARGEST, 0)
            answer = self._libc.name_to_handle_at(self._HERE, folder, buffer, ctypes.byref(mount), flags)
            if answer == 0:
                break
        _checked(answer)
        size, kind = struct.unpack_from("=Ii", buffer)
        return struct.pack("=i", kind) + buffer.raw[8 : 8 + size]

    def read(self) -> Iterator[_Event]:
        for chunk in _chunks(self._fd, "[fanotify]"):
            place = 0
            while place < len(chunk):
                length, _, _, header, mask, _, pid = struct.unpack_from("=IBBHQii", chunk, place)
                yield from self._events(chunk[place + header : place + length], mask, pid)
                place += length

    def _events(self, records: bytes, mask: int, pid: int) -> Iterator[_Event]:
        place = 0
        while place < len(records):
            kind, _, length = struct.unpack_from("=BBH", records, place)
            if kind == self._DFID_NAME_RECORD:
                size, handle_kind = struct.unpack_from("=Ii", records, place + 12)  # after the file system's id
                start = place + 20
                folder = self._folders.get(struct.pack("=i", handle_kind) + records[start : start + size])
                name = records[start + size : place + length].partition(b"\0")[0]
                if folder is not None and name not in (b"", b"."):
                    yield _Event(os.path.join(folder, os.fsdecode(name)), mask, pid)  # noqa: PTH118
            place += length

    def close(self) -> None:
        _close(self._fd, "[fanotify]")


class _Inotify:
    """Any Linux: events with a watch's number and the file's name, but not the process."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.inotify_add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]
        self._fd = _checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._folders: dict[int, str] = {}

    def add(self, folder: str) -> None:
        number = _checked(self._libc.inotify_add_watch(self._fd, os.fsencode(folder), _OPEN | _WRITTEN))
        self._folders.setdefault(number, folder)

    def read(self) -> Iterator[_Event]:
        for chunk in _chunks(self._fd, "inotify"):
            place = 0
            while place < len(chunk):
                number, mask, _, size = struct.unpack_from("=iIII", chunk, place)
                name = chunk[place + 16 : place + 16 + size].partition(b"\0")[0]
                folder = self._folders.get(number)
                if folder is not None and name:
                    yield _Event(os.path.join(folder, os.fsdecode(name)), mask, None)  # noqa: PTH118
                place += 16 + size

    def close(self) -> None:
        _close(self._fd, "inotify")
