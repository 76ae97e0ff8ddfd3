"""Watch which files are opened by code that Python's audit hook does not see: C code and child programs.

On Linux this is fanotify, which names the process that opened a file: only this process and its descendants count.
Where the system does not allow it (an old kernel, a container), it is inotify, which does not: every opening counts,
whoever made it, and folders that are only `watched` are not watched at all. Elsewhere nothing is seen; `files=` on the
spec is the way there.

Limits, all on the side of seeing too little unless they say otherwise:
- Sub-folders are walked once, at the start, and at most 4,000 of them. A folder that is made later is not watched.
- Without privileges the system names only this very process: what C code of its children opens is not seen. (What
  their Python code opens, the audit hook sees.)
- A process that has ended by the time of `poll` cannot be asked whose child it was. It counts if this process waited
  for a child since the last call, or still has one; so another program's opening may count by mistake. It does
  not if a third program is seen to write the file: then it is a log or the like.
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

from mdnbench.registry.places import too_wide

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# Folders with nothing that a method's numbers come from.
_TOOLS = (".git", ".hg", ".svn", ".venv", "node_modules", ".tox", ".nox", ".eggs", ".idea", ".vscode", ".benchmarks")
_CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".ipynb_checkpoints")
SKIPPED = frozenset((".mdnbench", *_TOOLS, *_CACHES))
BYTECODE = "__pycache__"  # an opened .pyc stands for its module
MOST_FOLDERS = 4_000
MOST_ENTRIES = 200_000  # of all folders together: a folder of a million images is not read to its end
BUFFER = 1 << 16

# The numbers are the same for fanotify and inotify.
_MODIFY, _OPEN, _MOVED_TO, _CREATE = 0x2, 0x20, 0x80, 0x100
_FOLDER, _ON_CHILD = 0x4000_0000, 0x0800_0000
_WRITTEN = _MODIFY | _MOVED_TO | _CREATE


@dataclass(frozen=True, slots=True)
class _Event:
    """Something that happened to a path; `pid` is None where the system does not tell."""

    path: str
    mask: int
    pid: int | None


class _Watch(Protocol):
    """What the system offers."""

    def add(self, folder: str) -> None: ...

    def read(self) -> Iterator[_Event]: ...

    def close(self) -> None: ...


class Opens:
    """The files that this process and its descendants opened below some folders.

    Args:
        folders: watched with every means that the system has.
        watched: watched only if the system tells who opened a file (`exact`).
        exact: False leaves fanotify out, as on a system that refuses it.

    Attributes:
        exact: whether only the openings of this process and its descendants are seen.
        written: the paths of files that were created, changed or moved to where they are.
        made: the paths of folders that were created or moved to where they are.


    """

    def __init__(self, folders: Sequence[Path], watched: Sequence[Path] = (), *, exact: bool = True) -> None:
        self.written: set[str] = set()
        self.made: set[str] = set()
        self._pid = os.getpid()
        self._reaped = _reaped()
        self._others: set[str] = set()  # paths of files that other programs have written since this watch began
        self.exact = False
        self._watch: _Watch | None = None
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
        """Return the paths of files opened since the last call, those in `written` as well."""
        if self._watch is None or os.getpid() != self._pid:  # a forked child must not take its parent's events
            return set()
        opened, perhaps = set(), set()  # by us, and by processes that may have been our children
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
        # Another program writes these now: whoever looks at them, as at a log, is more likely no child of ours.
        return opened | (perhaps - self._others)

    def close(self) -> None:
        """Stop watching."""
        if self._watch and os.getpid() == self._pid:
            self._watch.close()
        self._watch = None

    def _had_children(self) -> bool:
        """Whether a process that has ended may have been a child: one was waited for since then, or one is left."""
        if _reaped() != self._reaped:
            return True
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True


def _reaped() -> int:
    """A number that grows with each child that was waited for."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt if resource else 0


@dataclass(slots=True)
class _Openers:
    """Which processes are this one or its descendants, asked once each."""

    own: int
    _known: dict[int, bool | None] = field(default_factory=dict)

    def ours(self, pid: int) -> bool | None:
        """Whether a process is; None if it has ended."""
        if pid not in self._known:
            self._known[pid] = self._ask(pid)
        return self._known[pid]

    def _ask(self, pid: int) -> bool | None:
        if pid == self.own:
            return True
        if pid <= 0:  # one that we may not know
            return False
        parent = _parent(pid)
        if parent is None:
            return None
        with contextlib.suppress(OSError):
            if os.getsid(pid) == self.own:  # a process that outlived its parent, of a session that this one leads
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


def _started(watch: _Watch, folders: Sequence[Path]) -> _Watch:
    """The watch of these folders; OSError if the system refuses one of them."""
    try:
        for folder in folders:
            if folder.is_dir():
                watch.add(str(folder))
    except OSError:
        watch.close()
        raise
    _add_all(watch, folders, bytecode=isinstance(watch, _Fanotify))
    return watch


def _add_all(watch: _Watch, folders: Sequence[Path], *, bytecode: bool) -> None:
    for folder in _walk(folders, bytecode=bytecode):
        try:
            watch.add(folder)
        except OSError as error:
            if error.errno in _NO_MORE:
                return


_NO_MORE = (12, 24, 28)  # ENOMEM, EMFILE, ENOSPC: the system's limit of watches


def _walk(folders: Sequence[Path], *, bytecode: bool) -> Iterator[str]:
    """The folders and all below them, the nearest first; symlinks are followed, each folder comes once.

    Of a folder that holds everything (the home folder), only itself.
    """
    waiting = deque(str(folder) for folder in folders)
    wide = {str(folder) for folder in folders if too_wide(folder)}
    seen: set[tuple[int, int]] = set()
    entries = 0
    while waiting and len(seen) < MOST_FOLDERS and entries < MOST_ENTRIES:
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


# ---- What the system offers ------------------------------------------------------------------------------------------


def _chunks(fd: int, name: str) -> Iterator[bytes]:
    """What waits in a descriptor, if it is still ours: a plugin may have closed it, and opened another one."""
    try:
        if os.readlink(f"/proc/self/fd/{fd}") != f"anon_inode:{name}":  # noqa: PTH115
            return
        while True:
            yield os.read(fd, BUFFER)
    except OSError:  # nothing is left, as a rule
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
    _HANDLE_FID = 0x200  # a handle that only identifies; for file systems that cannot open by handle
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
        """What the system calls a folder: the kind of handle and its bytes, as events carry them."""
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
    """Any Linux: events with a watch's number and the file's name, whoever made them."""

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
