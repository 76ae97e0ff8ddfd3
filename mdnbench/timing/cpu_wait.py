"""How long a process waited for a processor: what tells a busy machine from a slow method."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

LEADER = Path("/proc/self/schedstat")  # of the process's first thread, which makes the calls
TASKS = Path("/proc/self/task")
DISTURBED = 0.25  # a call that waited for a larger part of its time says more about the machine than about the method


class Waiting:
    """The time that this process spent ready to run, but without a processor, by the Linux scheduler's own count.

    On several threads it is the mean over them. Elsewhere than on Linux nothing is known, and it is 0.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._leader: int | None = None
        with contextlib.suppress(OSError):
            self._leader = os.open(LEADER, os.O_RDONLY)

    def seconds(self) -> float:
        """Return the seconds waited since the process began."""
        if self._leader is None:
            return 0.0
        if self._threads == 1:
            return _delay_s(os.pread(self._leader, 128, 0))
        return sum(map(_delay_of, TASKS.iterdir())) / self._threads


def disturbed(seconds: Iterable[float], waits: Iterable[float]) -> bool:
    """Return whether the median of these calls is one that the machine disturbed: more than half of them were."""
    calls = [waited > DISTURBED * taken for taken, waited in zip(seconds, waits, strict=False)]
    return sum(calls) > len(calls) / 2


def _delay_of(task: Path) -> float:
    try:
        return _delay_s((task / "schedstat").read_bytes())
    except OSError:  # a thread that has ended since
        return 0.0


def _delay_s(line: bytes) -> float:
    """The second of three numbers: nanoseconds on a processor, nanoseconds waiting for one, and time slices."""
    fields = line.split()
    return int(fields[1]) / 1e9 if len(fields) == 3 else 0.0
