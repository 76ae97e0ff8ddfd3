"""How long a process waited for a processor, to distinguish a busy machine from a slow method."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

LEADER = Path("/proc/self/schedstat")  # the file of the process's first thread, which makes the calls
TASKS = Path("/proc/self/task")
DISTURBED = 0.25  # a call that waited for a larger share of its time was disturbed by the machine


class Waiting:
    """The time in which this process was ready to run but had no processor, as counted by the Linux scheduler.

    On several threads it is the mean over them. On other systems it is not known, and is 0.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._leader: int | None = None
        with contextlib.suppress(OSError):
            self._leader = os.open(LEADER, os.O_RDONLY)

    def seconds(self) -> float:
        """Return the seconds that the process has waited since it began."""
        if self._leader is None:
            return 0.0
        if self._threads == 1:
            return _delay_s(os.pread(self._leader, 128, 0))
        return sum(map(_delay_of, TASKS.iterdir())) / self._threads


def disturbed(seconds: Iterable[float], waits: Iterable[float]) -> bool:
    """Return whether the machine disturbed more than half of these calls, and so their median.

    Args:
        seconds: The seconds of each call.
        waits: The seconds in which each call waited for a processor.

    """
    calls = [waited > DISTURBED * taken for taken, waited in zip(seconds, waits, strict=False)]
    return sum(calls) > len(calls) / 2


def _delay_of(task: Path) -> float:
    """Return the seconds that a thread of this process has waited for a processor."""
    try:
        return _delay_s((task / "schedstat").read_bytes())
    except OSError:  # the thread has ended since
        return 0.0


def _delay_s(line: bytes) -> float:
    """Return the seconds of waiting from a line of `schedstat`.

    The line has three numbers: nanoseconds on a processor, nanoseconds waiting for one, and time slices.
    """
    fields = line.split()
    return int(fields[1]) / 1e9 if len(fields) == 3 else 0.0
