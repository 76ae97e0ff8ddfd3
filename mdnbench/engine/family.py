"""A process and whatever it started: how much memory they hold, and how to end them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil

LISTS_CHILDREN = Path("/proc/self/task").is_dir() and Path(f"/proc/self/task/{os.getpid()}/children").exists()


def held_bytes(pid: int) -> int:
    """The memory that a process and its descendants hold; 0 where it is gone."""
    return sum(map(_resident_bytes, [pid, *descendants(pid)]))


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that these started."""
    if not LISTS_CHILDREN:
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children(recursive=True)]
        return []
    found: list[int] = []
    for child in _children(pid):
        found += [child, *descendants(child)]
    return found


def end(pid: int) -> None:
    """End a process and its descendants at once; what it started and disowned goes with its process group."""
    for each in [*descendants(pid), pid]:
        with contextlib.suppress(OSError):
            os.kill(each, getattr(signal, "SIGKILL", signal.SIGTERM))
    end_group(pid)


def end_group(group: int) -> None:
    """End a process group, where there are such: a worker leads one, so whatever it started goes with it."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    """What Linux lists itself: asking psutil means reading the whole process table, twice a second and slot."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def _resident_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
