"""Make temporary files and folders whose names identify their process, and remove those of killed processes.

A name ends in a digest of the machine, the number of the process and some random letters. When a process makes
something in a folder, it first removes what processes of the same machine have left there that do not run any more.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_ENDING = re.compile(r"\.(?P<machine>[0-9a-f]{6})-(?P<pid>\d{1,10})-[0-9a-f]{8}(\.part)?")


def part_of(path: Path) -> Path:
    """Return a new name next to a file, which ends in `.part`, for a file that will replace it."""
    clear(path.parent.absolute())
    return path.with_name(f"{path.name}.{_mark()}.part")


def make_folder(name: str, where: Path | None = None) -> Path:
    """Create a folder for this process; the caller must remove it (`folder` does so at the end of its block).

    Args:
        name: The first part of the name.
        where: The folder in which to create it (default: the system's folder for temporary files).

    Raises:
        OSError: The system refuses.

    """
    where = Path(tempfile.gettempdir()) if where is None else where
    clear(where.absolute())
    made = where / f"{name}.{_mark()}"
    made.mkdir(mode=0o700)
    return made


@contextlib.contextmanager
def folder(name: str, where: Path | None = None) -> Iterator[Path]:
    """Create a folder for the duration of the `with` block; raise OSError if the system refuses."""
    made = make_folder(name, where)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@cache  # once for each folder: a search before each of thousands of files would take longer than writing them
def clear(where: Path) -> None:
    """Remove what ended processes of this machine have left in a folder; skip what cannot be removed."""
    with contextlib.suppress(OSError), os.scandir(where) as entries:
        for entry in entries:
            if _is_left(entry.name):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with contextlib.suppress(OSError):
                        Path(entry.path).unlink()


def _is_left(name: str) -> bool:
    found = _ENDING.search(name)
    if not found or found.end() != len(name) or found["machine"] != _machine():
        return False
    return not _runs(int(found["pid"]))


def _runs(pid: int) -> bool:
    if os.name == "nt":  # on Windows the signal 0 would end the process
        import psutil

        return bool(psutil.pid_exists(pid))
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it runs, but belongs to another user
        pass
    return True


def _mark() -> str:
    return f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"


@cache
def _machine() -> str:
    """Return a digest of the context in which a process number is unique: a started machine and a container.

    Several machines with the same name may share a folder, so the name alone is not enough.
    """
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:6]
