"""A process and whatever it started: whether it lives, how much memory they hold, and how to end them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil

LISTS_CHILDREN = Path("/proc/self/task").is_dir() and Path(f"/proc/self/task/{os.getpid()}/children").exists()
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def alive(pid: int) -> bool:
    """Return whether a process is there and has not ended; one that waits to be noticed by its parent has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return not LISTS_CHILDREN and psutil.pid_exists(pid)
    return state[state.rfind(b")") + 2 : state.rfind(b")") + 3] not in (b"Z", b"X")


def held_bytes(pid: int) -> int:
    """Return the memory that a process and its descendants hold; 0 if it is gone."""
    return sum(map(_resident_bytes, [pid, *descendants(pid)]))


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that these started."""
    if not LISTS_CHILDREN:
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children(recursive=True)]
        return []
    found: list[int] = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def open_files(pid: int) -> int:
    """Return how many descriptors a process has open; 0 if the system does not say."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 (numbers, not paths)
    except OSError:
        return 0


def end(pid: int) -> None:
    """End a process and its descendants at once; what it started and disowned goes with its process group."""
    for each in [*descendants(pid), pid]:
        with contextlib.suppress(OSError):
            os.kill(each, getattr(signal, "SIGKILL", signal.SIGTERM))
    end_group(pid)


def end_group(group: int) -> None:
    """End a process group, if the system has such: a worker leads one, so whatever it started goes with it."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """Return the children of a process as Linux lists them: asking psutil means reading the whole process table."""
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
    """Close all descriptors of this process but these."""
    start = 0
    for number in [*sorted(kept), os.sysconf("SC_OPEN_MAX")]:
        if start < number:  # given an empty range, Python closes everything
            os.closerange(start, number)
        start = number + 1
