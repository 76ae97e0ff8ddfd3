"""Ctrl-C: once to finish what is running and save, twice to stop at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from mdnbench.errors import Interrupted


class Stop:
    """Whether the person asked to stop."""

    def __init__(self) -> None:
        self.requested = False


@contextmanager
def on_interrupt(told: Callable[[], None]) -> Iterator[Stop]:
    """While inside, the first Ctrl-C sets `requested` and calls `told`; the second ends all with Interrupted."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True
        told()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    except KeyboardInterrupt:
        raise Interrupted("stopped at once; what was finished is saved.") from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)  # None: not of Python, and lost
