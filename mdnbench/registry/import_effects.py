"""Restore what a plugin changes for the whole process while it is imported.

The coordinator imports plugins to read their specs, and every process of a run inherits its environment, limits and
signal handlers. Some changes cannot be undone (`lasting`). A trial detects them, and such a plugin is never imported
into the coordinator.
"""

from __future__ import annotations

import contextlib
import csv
import faulthandler
import gc
import locale
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

PRIVILEGES = {
    "Uid": "the user", "Gid": "the group", "Groups": "the groups", "CapEff": "the capabilities",
    "NoNewPrivs": "the privileges", "Seccomp": "the system calls",
}  # fmt: skip
LIMITS = tuple(name for name in dir(resource) if name.startswith("RLIMIT_"))


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Restore what the `with` block changes.

    That is the current folder, environment variables, soft limits, signal handlers, timers, recursion limit, locale,
    umask, CPU affinity, blocked signals, warning filters, settings of Python and the targets of descriptors 0 to 2.
    The timer of `faulthandler`, which may end the process, is stopped.
    """
    undo: list[Callable[[], Any]] = [
        *_folder_and_variables(), *_limits(), *_signals(), *_timers(), *_texts(), *_umask(), *_cores(), *_interpreter(),
    ]  # fmt: skip
    with warnings.catch_warnings(), _same_streams():
        try:
            yield
        finally:
            for each in undo:
                with contextlib.suppress(OSError, ValueError):
                    each()
            faulthandler.cancel_dump_traceback_later()


def lasting() -> dict[str, Any]:
    """Return values that a process cannot change back, for example its hard limits and its user.

    Returns:
        The values by the words that messages use for them.

    """
    found: dict[str, Any] = {}
    for name in LIMITS:
        with contextlib.suppress(OSError, ValueError):
            found[f"the hard limit {name}"] = resource.getrlimit(getattr(resource, name))[1]
    with contextlib.suppress(OSError):
        root = os.stat("/")  # noqa: PTH116
        found["the root folder"] = (root.st_dev, root.st_ino)
    if hasattr(os, "getpriority"):
        found["the priority"] = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="utf-8") as status:  # noqa: PTH123
        fields = dict(line.partition(":")[::2] for line in status)
        found |= {what: fields.get(field, "") for field, what in PRIVILEGES.items()}
    return found


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
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set signal handlers
        return
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if handler is not None:  # None is a handler of C code, which Python cannot restore
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


def _interpreter() -> Iterator[Callable[[], Any]]:
    """Yield functions that restore settings of Python: streams, temporary folder, limits, collector and others."""
    streams = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    yield lambda: vars(sys).update(streams)
    place = tempfile.tempdir
    yield lambda: setattr(tempfile, "tempdir", place)
    digits, interval = sys.get_int_max_str_digits(), sys.getswitchinterval()
    yield lambda: sys.set_int_max_str_digits(digits)
    yield lambda: sys.setswitchinterval(interval)
    row = csv.field_size_limit()
    yield lambda: csv.field_size_limit(row)
    yield gc.enable if gc.isenabled() else gc.disable
    if decimal := sys.modules.get("decimal"):
        numbers = decimal.getcontext().copy()
        yield lambda: decimal.setcontext(numbers)
    if socket := sys.modules.get("socket"):
        timeout = socket.getdefaulttimeout()
        yield lambda: socket.setdefaulttimeout(timeout)


def _umask() -> Iterator[Callable[[], Any]]:
    mask = os.umask(0o077)
    os.umask(mask)
    yield lambda: os.umask(mask)


def _cores() -> Iterator[Callable[[], Any]]:
    """Yield functions that restore the CPU affinity and the blocked signals."""
    if hasattr(os, "sched_getaffinity"):
        cores = os.sched_getaffinity(0)
        yield lambda: os.sched_setaffinity(0, cores)
    if hasattr(signal, "pthread_sigmask"):
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        yield lambda: signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@contextlib.contextmanager
def _same_streams() -> Iterator[None]:
    """Restore the targets of file descriptors 0 to 2."""
    restored = {}
    for number in range(3):
        with contextlib.suppress(OSError):
            restored[number] = os.dup(number)
    try:
        yield
    finally:
        for number, copy in restored.items():
            if _leads_to(number) != _leads_to(copy):
                os.dup2(copy, number)
            with contextlib.suppress(OSError):  # the plugin may have closed every descriptor
                os.close(copy)


def _leads_to(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino
