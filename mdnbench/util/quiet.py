"""Quiet: what a library warns of is not for the person at the keyboard, in however many threads it is called."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator

_lock = threading.Lock()
_within = 0
_caught = contextlib.ExitStack()


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """No warning is heard in here, and all are as before after it.

    `warnings.catch_warnings` alone is not for threads: who leaves last puts back the filters that it found when it
    entered, and with them another thread's silence, for good. Here the first one in silences and the last one out
    restores.
    """
    global _within
    with _lock:
        if not _within:
            _caught.enter_context(warnings.catch_warnings(action="ignore"))
        _within += 1
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            if not _within:
                _caught.close()
