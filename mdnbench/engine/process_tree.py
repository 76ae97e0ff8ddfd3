"""A process and all its descendants: whether it is running, how much memory they hold, and how to end them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil

LISTS_CHILDREN = Path("/proc/self/task").is_dir() and Path(f"/proc/self/task/{os.getpid()}/children").exists()
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def alive(pid: int) -> bool:
    """Return whether a process exists and has not ended. A zombie, which waits for its parent, counts as ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return not LISTS_CHILDREN and psutil.pid_exists(pid)
    return state[state.rfind(b")") + 2 : state.rfind(b")") + 3] not in (b"Z", b"X")


def held_bytes(pid: int) -> int:
    """Return the memory in bytes that a process and its descendants hold; 0 if the process is gone."""
    return sum(map(_resident_bytes, [pid, *descendants(pid)]))


def descendants(pid: int) -> list[int]:
    """Return the ids of the children of a process, their children, and so on."""
    if not LISTS_CHILDREN:
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children(recursive=True)]
        return []
    found: list[int] = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def open_files(pid: int) -> int:
    """Return how many file descriptors a process has open; 0 if the system does not report this."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 (numbers, not paths)
    except OSError:
        return 0


def end(pid: int) -> None:
    """Kill a process, its descendants, and its process group, which includes descendants that lost their parent."""
    for each in [*descendants(pid), pid]:
        with contextlib.suppress(OSError):
            os.kill(each, getattr(signal, "SIGKILL", signal.SIGTERM))
    end_group(pid)


def end_group(group: int) -> None:
    """Kill a process group, if the system has process groups. Each worker leads one, and its children belong to it."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """Return the children of a process from Linux's list. psutil would read the whole process table for that."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 (numbers, not paths)
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_bytes().split())
    return found


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        pass
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def close_others(kept: set[int]) -> None:
    """Close all file descriptors of this process except for `kept`."""
    start = 0
    for number in [*sorted(kept), os.sysconf("SC_OPEN_MAX")]:
        if start < number:  # for an empty range, Python closes everything
            os.closerange(start, number)
        start = number + 1
