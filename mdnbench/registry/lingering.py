"""Find what continues after an import: threads, child processes, handlers at exit, and hooks of the interpreter.

A process cannot undo these. A thread or a handler keeps it alive or changes its exit code, and a child process outlives
it. Libraries such as logging and multiprocessing have handlers too, so a handler counts only if a plugin registered it,
or if it runs a plugin's function.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import faulthandler
import functools
import gc
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from mdnbench.registry.file_origin import kind_of
from mdnbench.util.limits import SETTLE_S

PR_SET_CHILD_SUBREAPER = 36
TOOLS = range(6)  # of sys.monitoring

THREADS = "the threads of its process"
CHILDREN = "the child processes of its process"
AT_EXIT = "what happens at the exit of its process"
AUDIT = "the audit hooks"

_atexit: Any = atexit  # with what typeshed leaves out
_threading: Any = threading


class Lingering:
    """Compares what goes on in this process with what went on when `begin` was called; for a trial.

    Args:
        root: the folder or file of the plugin, whose code is no library's though it may be installed.

    """

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._is_installed = kind_of(self._root if root.is_file() else root / "x") == "installed"
        self._registered: list[tuple[Callable[..., Any], bool]] = []  # and whether a library has registered it
        self._hooks_added = 0
        self._watchdog = False  # whether `faulthandler` has a thread that may end the process; it is no Python thread
        self._before: dict[str, Any] = {}
        self._threads: frozenset[int] = frozenset()
        self._count = 0
        self._handlers = self._noted = 0  # of `atexit`: before, and noted since

    def begin(self) -> None:
        """Note what goes on now, and from now on who registers handlers."""
        adopt_orphans()
        sys.addaudithook(self._hear)
        self._hooks_added = 0  # older Pythons tell a hook of itself
        self._threads, self._count = frozenset(sys._current_frames()), _thread._count()
        self._handlers = _atexit._ncallbacks()
        self._before = _settings()
        _atexit.register = self._recorded(atexit.register, counted=True)
        _threading._register_atexit = self._recorded(_threading._register_atexit)
        _record_finalizers(self._note)
        self._record_watchdog()

    def found(self) -> list[str]:
        """Return what the import has left going, in the words that messages use. Call it once."""
        now = _settings()
        changed = [what for what, value in self._before.items() if now[what] != value]
        if self._watchdog:
            changed.append("the fault handler")
        if self._hooks_added:
            changed.append(AUDIT)
        if self._has_handler():
            changed.append(AT_EXIT)
        until = time.monotonic() + SETTLE_S
        while (threads := self._has_thread()) and time.monotonic() < until:
            time.sleep(0.01)
        return [*changed, *([THREADS] if threads else []), *([CHILDREN] if has_children() else [])]

    def _hear(self, event: str, _: tuple[object, ...]) -> None:
        if event == "sys.addaudithook":
            self._hooks_added += 1

    def _has_thread(self) -> bool:
        # C code in a thread of its own has no frame, and a thread that ends may be counted for a moment.
        return _thread._count() > self._count or not sys._current_frames().keys() <= self._threads

    # ---- Handlers at exit --------------------------------------------------------------------------------------------

    def _recorded(self, register: Callable[..., Any], *, counted: bool = False) -> Callable[..., Any]:
        """Return the same function, but with a record of its callers and their arguments."""

        @functools.wraps(register)
        def recorded(function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
            self._note(function, sys._getframe(1))
            self._noted += counted
            return register(function, *arguments, **options)

        return recorded

    def _record_watchdog(self) -> None:
        """Have `faulthandler` note whether a traceback is to be dumped later."""
        dump, cancel = faulthandler.dump_traceback_later, faulthandler.cancel_dump_traceback_later

        @functools.wraps(dump)
        def recorded_dump(*arguments: Any, **options: Any) -> None:
            dump(*arguments, **options)
            self._watchdog = True

        @functools.wraps(cancel)
        def recorded_cancel() -> None:
            cancel()
            self._watchdog = False

        faulthandler.dump_traceback_later = recorded_dump
        faulthandler.cancel_dump_traceback_later = recorded_cancel

    def _note(self, function: Any, caller: FrameType) -> None:
        self._registered.append((function, self._is_library_code(caller.f_code, caller.f_globals.get("__name__"))))

    def _has_handler(self) -> bool:
        """Whether a handler is a plugin's; or none of those that were noted, as after a reload of `atexit`."""
        if any(not (by_library and self._is_library(function)) for function, by_library in self._registered):
            return True
        if _atexit._ncallbacks() > self._handlers + self._noted:
            return True
        finalizers: Any = getattr(sys.modules.get("multiprocessing.util"), "_finalizer_registry", {})
        calls = [each._callback for each in list(finalizers.values())]
        return not all(_code_of(_behind(call)) and self._is_library(call) for call in calls)

    def _is_library(self, function: Any) -> bool:
        """Whether a function is a library's; of what is not written in Python, who registers it decides."""
        function = _behind(function)
        code = _code_of(function)
        return code is None or self._is_library_code(code, getattr(function, "__module__", None))

    def _is_library_code(self, code: CodeType, module: object) -> bool:
        file = code.co_filename
        if file.startswith("<frozen "):
            return True
        if not os.path.isabs(file):  # noqa: PTH117 (of Cython, or of a text that was compiled)
            file = getattr(sys.modules.get(str(module)), "__file__", None) or file
        origin = kind_of(file)
        if not self._is_installed:  # mdnbench or an environment may be in the plugin's repository
            return origin != "other"
        real = os.path.realpath(file)
        inside = real == self._root or real.startswith(os.path.join(self._root, ""))  # noqa: PTH118
        return not inside and origin != "other"


def _behind(function: Any) -> Any:
    """Return the function of a partial object or of a method."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__func__", function)


def _code_of(function: Any) -> CodeType | None:
    code = getattr(function, "__code__", None)
    if code is None:  # an object that can be called
        code = next((vars(each)["__call__"] for each in type(function).__mro__ if "__call__" in vars(each)), None)
        code = getattr(code, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _record_finalizers(note: Callable[[Any, FrameType], None]) -> None:
    """Have `weakref.finalize` note who has made one: it runs at exit, unless its `atexit` is set to false."""
    make = weakref.finalize.__init__

    @functools.wraps(make)
    def made(self: Any, obj: Any, function: Any, /, *arguments: Any, **options: Any) -> None:
        note(function, sys._getframe(1))
        make(self, obj, function, *arguments, **options)

    weakref.finalize.__init__ = made  # type: ignore[method-assign]


# ---- Hooks and signals -----------------------------------------------------------------------------------------------


def _settings() -> dict[str, Any]:
    """Return what the interpreter calls by itself, by the words that messages use."""
    found: dict[str, Any] = {
        "the trace function": (sys.gettrace(), threading.gettrace()),
        "the profile function": (sys.getprofile(), threading.getprofile()),
        "the fault handler": faulthandler.is_enabled(),
        "the callbacks of the garbage collector": [id(each) for each in gc.callbacks],
        "the signal handlers": [signal.getsignal(each) for each in sorted(signal.valid_signals())],
    }
    if monitoring := getattr(sys, "monitoring", None):
        found["the monitoring tools"] = [monitoring.get_tool(each) for each in TOOLS]
    return found


# ---- Child processes -------------------------------------------------------------------------------------------------


def adopt_orphans() -> None:
    """On Linux, become the parent of what the processes that are started here leave behind."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_children() -> bool:
    """Return whether a child process runs, or nobody has waited for one. What helps multiprocessing does not count."""
    if not hasattr(os, "waitid"):  # Windows; macOS before 3.13
        return False
    tracker = _tracker()
    if tracker is None:
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True
    return any(pid != tracker for pid in children())


def _tracker() -> int | None:
    """Return the id of multiprocessing's process for the names of semaphores, which ends by itself, or None."""
    module: Any = sys.modules.get("multiprocessing.resource_tracker")
    return getattr(getattr(module, "_resource_tracker", None), "_pid", None)


def children() -> Iterator[int]:
    """Yield the numbers of the child processes, on Linux."""
    me = str(os.getpid())
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            if (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1] == me:
                yield int(folder.name)


def end_children() -> None:
    """End every process that was started here, on Linux; those that they have started become children in turn."""
    with contextlib.suppress(AttributeError, ChildProcessError):
        while not os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):
            for pid in children():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
