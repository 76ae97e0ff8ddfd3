"""Temporary files and folders whose names say who made them: a process removes what killed ones have left behind.

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
    """A new name beside a file, for what will take its place; it ends in `.part`."""
    clear(path.parent.absolute())
    return path.with_name(f"{path.name}.{_mark()}.part")


def make_folder(name: str, where: Path | None = None) -> Path:
    """Make a folder for this process, among the system's temporary files or in another place.

    Whoever asks removes it: `folder` does so by itself. OSError where the system refuses.
    """
    where = Path(tempfile.gettempdir()) if where is None else where
    clear(where.absolute())
    made = where / f"{name}.{_mark()}"
    made.mkdir(mode=0o700)
    return made


@contextlib.contextmanager
def folder(name: str, where: Path | None = None) -> Iterator[Path]:
    """A folder for this process as long as the block lasts; OSError where the system refuses it."""
    made = make_folder(name, where)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@cache  # once for each folder: where thousands of files are written, looking costs more than writing
def clear(where: Path) -> None:
    """Remove from a folder what processes of this machine have left there that are gone; what cannot go stays."""
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
    if os.name == "nt":  # where a signal that asks would end the process
        import psutil

        return bool(psutil.pid_exists(pid))
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it runs, and is somebody else's
        pass
    return True


def _mark() -> str:
    return f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"


@cache
def _machine() -> str:
    """A digest of where a process number has a meaning: the machine since it was started, and the container.

    Machines of one name may share a folder, so that the name alone would not do.
    """
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:6]
