"""Limit the time of a plugin's call in the process of a command.

Workers have limits of their own; this one is for what a command calls itself: loading images, preparing metrics,
writing reports, making networks. When the time is over, the call is interrupted with an exception. If it does not end
within some seconds, the command ends with exit code 3 and the reason, even if the call is in C code that holds the
interpreter's lock. On Windows, calls cannot be interrupted, and the command ends.

Only the command line has this limit. In a notebook, whose process is not ours to end, the user interrupts a call.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any

from mdnbench.errors import TookTooLong
from mdnbench.util import ending, watchdog
from mdnbench.util.limits import PLUGIN_CALL_S, PLUGIN_GRACE_S, RENEW_EVERY_S

if TYPE_CHECKING:
    import ctypes

ACTION_BYTES = 256  # room for C's `struct sigaction` of any system
LIMIT_VARIABLE = "MDNBENCH_PLUGIN_SECONDS"  # sets another limit, for plugins whose calls take long

_numbers = itertools.count()
_calls: dict[int, _Call] = {}
_inside = threading.local()


class _TimeIsUpError(BaseException):
    """Raised in the plugin's call; `except Exception` in a plugin does not catch it."""


class _Call:
    """One call of a plugin and its time."""

    def __init__(self, doing: str, limit: float) -> None:
        self.number, self.limit = next(_numbers), limit
        shown = "".join(each if each.isprintable() else "?" for each in doing)
        self.reason = (
            f"{shown}: it did not return within {limit:g} s. If it needs more time, set {LIMIT_VARIABLE} to a higher "
            "number of seconds."
        )
        self.may_raise = bool(watchdog.SIGNAL) and threading.current_thread() is threading.main_thread()
        self.is_over = self.has_ended = False

    def begin(self) -> None:
        """Begin the time of this call, also when it has begun before."""
        self._begun = time.monotonic()
        _watchdog.send(self, self.number, self.limit, min(self.limit, PLUGIN_GRACE_S), self.reason, self.may_raise)

    def end(self) -> None:
        """End the time of this call. After this it cannot be begun again."""
        self.has_ended = True
        _watchdog.send(None, self.number)

    def renew(self) -> None:
        """Begin the time again, but not each time that a few bytes have come."""
        if time.monotonic() - self._begun > min(RENEW_EVERY_S, self.limit / 10):
            self.begin()

    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        """Raise in the call; the second time, end the command."""
        if self.has_ended or time.monotonic() - self._begun < self.limit:  # or the signal is somebody else's
            return
        if not self.is_over:
            self.is_over = True
            raise _TimeIsUpError
        with contextlib.suppress(OSError):
            os.write(2, f"mdnbench: {self.reason}\n".encode("utf-8", "backslashreplace"))
        ending.leave(TookTooLong.exit_code)


class _Watchdog:
    """The connection to the process that watches the calls of this one; it is started with the first call."""

    def __init__(self) -> None:
        self.owner = 0  # the process whose calls are limited; a copy of it that is forked has another number
        self._process: subprocess.Popen[bytes] | None = None
        self._is_lost = False
        self._lock = threading.Lock()

    def send(self, call: _Call | None, *parts: Any) -> None:
        """Send one line. Without a watchdog there is no limit.

        Args:
            call: The call that the line begins. Nothing is sent if it has ended or its time is over.
            parts: The line.

        """
        with self._lock:
            if self._is_lost or (call and (call.has_ended or call.is_over)):
                return
            try:
                if self._process is None:
                    self._process = _started()
                    ending.register(self._end)
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps(parts).encode("ascii") + b"\n")
                self._process.stdin.flush()
            except OSError:
                self._is_lost = True  # the number of a closed descriptor may be another file's by now

    def _end(self) -> None:
        if self._process is not None and os.getpid() == self.owner:
            self._process.kill()
            self._process.wait()


_watchdog = _Watchdog()


def enable() -> None:
    """Limit the calls of this process from now on; the command line does this, because it may end its process."""
    _watchdog.owner = os.getpid()


@contextlib.contextmanager
def time_limit(doing: str, seconds: float = PLUGIN_CALL_S) -> Iterator[None]:
    """Run a plugin's code in the `with` block; inside another such block, that one's time counts.

    Args:
        doing: The plugin and its task for the message, for example `the data set photos loads image 'a'`.
        seconds: The limit, if MDNBENCH_PLUGIN_SECONDS does not set another one.

    Raises:
        TookTooLong: The time is over.

    """
    if _watchdog.owner != os.getpid() or getattr(_inside, "call", False):
        yield
        return
    call = _Call(doing, _limit_s(seconds))
    _calls[call.number], _inside.call = call, True
    try:
        with _handled(call):
            yield
    except BaseException:
        if call.is_over:  # whatever the plugin made of the interruption
            raise TookTooLong(call.reason) from None
        raise
    finally:
        _inside.call = False
        _calls.pop(call.number)
    if call.is_over:
        raise TookTooLong(call.reason)


def renew() -> None:
    """Begin the time of all running calls again, because a download has received bytes."""
    if _watchdog.owner == os.getpid():
        for call in list(_calls.values()):
            call.renew()


@contextlib.contextmanager
def _handled(call: _Call) -> Iterator[None]:
    """Have the call watched in the `with` block."""
    with _raising(call), _end_signal.in_force():
        try:
            call.begin()
            yield
        finally:
            call.end()


@contextlib.contextmanager
def _raising(call: _Call) -> Iterator[None]:
    """Let the watchdog's signal raise in the call, and let it do afterwards what it did before."""
    if not call.may_raise:
        yield
        return
    saved = _Action(watchdog.SIGNAL)
    before: Any = signal.signal(watchdog.SIGNAL, call.on_signal)
    try:
        yield
    finally:
        signal.signal(watchdog.SIGNAL, signal.SIG_DFL if before is None else before)
        saved.restore()


def _limit_s(usual: float) -> float:
    """Return the limit in seconds. One that is set higher than the usual 600 s does not lower a longer one."""
    with contextlib.suppress(ValueError):
        wanted = max(float(os.environ.get(LIMIT_VARIABLE, usual)), 0.1)
        return wanted if wanted < PLUGIN_CALL_S else max(wanted, usual)
    return usual


class _EndSignal:
    """What the signal 3 does: during calls it ends this process by C's `_exit(3)`, then it does what it did before.

    A handler in Python would have to wait for the interpreter's lock. C passes the number of a signal to its handler,
    and 3 happens to be the exit code. A plugin may have set another handler, so this is done before each call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0  # of several threads
        self._saved: _Action | None = None

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """Let the signal end this process in the `with` block."""
        with self._lock:
            self._saved = self._saved or _Action(watchdog.END_SIGNAL)
            self._calls += 1
            if library := _library():
                library.signal(watchdog.END_SIGNAL, library._exit)
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                if not self._calls:
                    self._saved.restore()
                    self._saved = None


_end_signal = _EndSignal()


class _Action:
    """What a signal does in this process now, saved so that it can be restored; C code may have set it."""

    def __init__(self, number: int) -> None:
        import ctypes

        self._number = number
        self._saved = ctypes.create_string_buffer(ACTION_BYTES)
        if library := _library():
            library.sigaction(number, None, self._saved)

    def restore(self) -> None:
        """Let the signal do again what it did when this object was made."""
        if library := _library():
            library.sigaction(self._number, self._saved, None)


@cache
def _library() -> ctypes.CDLL | None:
    """Return the C library of this process; None on Windows, where these functions do not exist."""
    if os.name != "posix":
        return None
    import ctypes

    library = ctypes.CDLL(None)
    library.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    library.sigaction.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)
    return library


def _started() -> subprocess.Popen[bytes]:
    """Start the watchdog, which ignores Ctrl-C: it is for the command, and the watchdog ends with that."""
    masks = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
