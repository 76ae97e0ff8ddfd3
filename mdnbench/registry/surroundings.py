"""What a plugin may change for the whole process while it is imported: noted before, and put back afterwards.

The coordinator imports plugins for their specs, and its environment, limits and signal handlers are handed down to
every process of a run.
"""

from __future__ import annotations

import contextlib
import locale
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

LIMITS = tuple(name for name in dir(resource) if name.startswith("RLIMIT_"))


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Put back what is changed inside: folder, variables, limits, signals, umask, locale, recursion limit, warnings."""
    undo: list[Callable[[], Any]] = [
        *_folder_and_variables(), *_limits(), *_signals(), *_timers(), *_texts(), *_umask(),
    ]  # fmt: skip
    with warnings.catch_warnings():
        try:
            yield
        finally:
            for each in undo:
                with contextlib.suppress(OSError, ValueError):  # what cannot be put back, as a limit that was lowered
                    each()


def _folder_and_variables() -> Iterator[Callable[[], Any]]:
    folder, variables = os.getcwd(), dict(os.environ)  # noqa: PTH109 (a text)
    yield lambda: os.chdir(folder)

    def restore() -> None:
        if os.environ != variables:
            for name in os.environ.keys() - variables.keys():
                del os.environ[name]
            os.environ.update(variables)

    yield restore


def _limits() -> Iterator[Callable[[], Any]]:
    for name in LIMITS:
        which = getattr(resource, name)
        with contextlib.suppress(OSError, ValueError):
            limit = resource.getrlimit(which)
            yield lambda which=which, limit=limit: _set_limit(which, limit)  # type: ignore[misc]


def _set_limit(which: int, limit: tuple[int, int]) -> None:
    if resource.getrlimit(which) != limit:
        resource.setrlimit(which, limit)


def _signals() -> Iterator[Callable[[], Any]]:
    if threading.current_thread() is not threading.main_thread():  # no other thread may set any
        return
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if handler is not None:  # of C code, which Python cannot put back
            yield lambda number=number, handler=handler: _set_signal(number, handler)  # type: ignore[misc]


def _set_signal(number: int, handler: Any) -> None:
    if signal.getsignal(number) != handler:
        signal.signal(number, handler)


def _timers() -> Iterator[Callable[[], Any]]:
    for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"):
        if hasattr(signal, name):
            which = getattr(signal, name)
            timer = signal.getitimer(which)
            yield lambda which=which, timer=timer: signal.setitimer(which, *timer)  # type: ignore[misc]


def _texts() -> Iterator[Callable[[], Any]]:
    depth, spoken = sys.getrecursionlimit(), locale.setlocale(locale.LC_ALL)
    yield lambda: sys.setrecursionlimit(depth)
    yield lambda: locale.setlocale(locale.LC_ALL, spoken)


def _umask() -> Iterator[Callable[[], Any]]:
    mask = os.umask(0o077)
    os.umask(mask)
    yield lambda: os.umask(mask)
