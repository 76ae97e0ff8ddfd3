"""The pulse: what a worker shows its watcher in shared memory: which process it is, which cell it is at, since when.

Seconds come from the monotonic clock, which both processes share and which no clock change moves.
"""

from __future__ import annotations

import os
import time
from multiprocessing.context import BaseContext

_PID, _POSITION, _SINCE, _DEAD_PID, _DEAD_POSITION = range(5)
_NONE = -1.0


class Pulse:
    """A few numbers that the worker alone writes; those of its predecessor stay when it takes over."""

    def __init__(self, context: BaseContext) -> None:
        self._numbers = context.RawArray("d", (0.0, _NONE, 0.0, 0.0, _NONE))

    # -- the worker's side ---------------------------------------------------------------------------------------

    def born(self) -> None:
        """Show that this process is the worker, and which cell its predecessor died at, if it did."""
        if self._numbers[_POSITION] != _NONE:
            self._numbers[_DEAD_PID], self._numbers[_DEAD_POSITION] = self._numbers[_PID], self._numbers[_POSITION]
        self._numbers[_POSITION] = _NONE
        self._numbers[_PID] = os.getpid()

    def begin(self, position: int) -> None:
        """Show that the cell at this position of the plan begins now."""
        self._numbers[_SINCE] = time.monotonic()
        self._numbers[_POSITION] = position

    def end(self) -> None:
        """Show that the cell has ended."""
        self._numbers[_POSITION] = _NONE

    # -- the watcher's side --------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The worker's process, also after its death; 0 before there was one."""
        return int(self._numbers[_PID])

    @property
    def position(self) -> int | None:
        """The position of the cell that is being worked on, or that the worker died at; None between two cells."""
        return _whole(self._numbers[_POSITION])

    @property
    def dead(self) -> tuple[int, int | None]:
        """The last worker before this one that died at a cell: its process, and the cell's position."""
        return int(self._numbers[_DEAD_PID]), _whole(self._numbers[_DEAD_POSITION])

    @property
    def seconds(self) -> float:
        """How long the worker has been at its cell; 0 between two cells."""
        return 0.0 if self.position is None else time.monotonic() - self._numbers[_SINCE]


def _whole(number: float) -> int | None:
    return None if number == _NONE else int(number)
