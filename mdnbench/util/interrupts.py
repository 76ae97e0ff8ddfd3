"""Handle Ctrl-C: the first one finishes and saves the running work, the second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from mdnbench.errors import Interrupted


class Stop:
    """Whether the user has asked to stop."""

    def __init__(self) -> None:
        self.requested = False


@contextmanager
def on_interrupt(told: Callable[[], None]) -> Iterator[Stop]:
    """Handle Ctrl-C in the `with` block: the first one sets `requested`, the second one stops.

    Args:
        told: A function that is called after the first Ctrl-C.

    Raises:
        Interrupted: The user pressed Ctrl-C twice.

    """
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
        # None: the handler of C code, which is lost
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
