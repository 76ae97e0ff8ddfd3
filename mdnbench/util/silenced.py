"""Suppress the warnings of libraries, which are of no use to the user, also in several threads at once."""

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
    """Suppress all warnings in the `with` block and restore the filters afterwards.

    `warnings.catch_warnings` alone does not work with threads: the thread that leaves last restores the filters that it
    found when it entered. These may be the filters that another thread had set to suppress warnings, which would then
    stay for good. Here the first thread that enters suppresses the warnings, and the last one that leaves restores the
    filters.
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
