"""Start processes that take orders, send them orders, and end them together with their descendants.

On Linux these processes are forked from a clean server (`engine/server.py`), which takes milliseconds. On other
systems, or with MDNBENCH_START=spawn, each one is a new interpreter. Both kinds start in `enter` and then behave alike.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mdnbench.engine import guard, process_tree, spawn, threads
from mdnbench.engine.orders import WAIT_S, OrderClient, ProcessEnded, ProcessLate
from mdnbench.errors import MdnbenchError
from mdnbench.planning import environment
from mdnbench.util import ending, temporary
from mdnbench.util.limits import MAX_SERVER_MESSAGE_BYTES, PROCESS_END_S, PROCESS_START_S

ENTRY = "import sys; sys.path[:] = {path!r}; from mdnbench.engine import server; server.main({descriptor}, {scratch!r})"


class OrderProcess:
    """A process that takes orders, as the process that sends the orders sees it."""

    def __init__(self, pid: int, connection: Connection, end: Callable[[float], int | None]) -> None:
        """Describe a process that was started.

        Args:
            pid: The id of the process.
            connection: The connection for orders and answers.
            end: Called with the seconds of grace. It ends the process and its descendants, and returns the exit code,
                or None if the process was killed.
        """
        self.pid = pid
        self.answering = OrderClient(connection)
        self._end = end
        self._ended: int | None = None
        self._gone = False

    def ask(self, order: str, *arguments: Any, within_s: float, watch: Callable[[], None] | None = None) -> Any:
        """Send an order and return its answer.

        Args:
            order: The name of the method to call in the process.
            *arguments: The arguments of the method.
            within_s: The longest time to wait, in seconds.
            watch: Called about four times a second while the process computes; its exceptions are raised here.

        Raises:
            OrderFailed: The order raised an exception in the process.
            ProcessLate: There is no answer after `within_s` seconds. The process must be ended.
            ProcessEnded: The process ended, or gave an unreadable answer. The process must be ended.
        """
        self.give(order, *arguments)
        return self.answer(within_s, watch)

    def give(self, order: str, *arguments: Any) -> None:
        """Send an order without waiting for its answer. Answers come in the order in which the orders were sent.

        Raises:
            ProcessEnded: The process is gone.
        """
        self.answering.send(order, *arguments)

    def answer(self, within_s: float, watch: Callable[[], None] | None = None) -> Any:
        """Return the answer to the oldest order that is not answered yet; arguments and exceptions as for `ask`."""
        until = time.monotonic() + within_s
        while True:
            if self.answering.answered(min(WAIT_S, until - time.monotonic())):
                return self.answering.receive(until)
            if time.monotonic() >= until:
                raise ProcessLate
            if not process_tree.alive(self.pid):  # its connection may still be open in a child that it left behind
                raise ProcessEnded("its process ended")
            if watch:
                watch()

    def end(self, grace_s: float = 0.0) -> int | None:
        """End the process.

        Args:
            grace_s: The time in seconds to let the process end by itself before it is killed.

        Returns:
            The exit code of the process, or None if it was killed here.
        """
        if not self._gone:
            self._gone = True
            self._ended = self._end(
                grace_s
            )  # first: a thread that waits for an answer then finds the connection closed
            self.answering.close()
        return self._ended

    def how_it_ended(self, found: object = "its process closed its connection") -> str:
        """Return a sentence about how a process that gave no answer ended.

        Args:
            found: The reason to report if the process had to be killed.
        """
        code = self.end(PROCESS_END_S)
        if code is None:
            return f"the worker was ended: {found}."
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"the worker was killed by {signal.Signals(-code).name}."
        return f"the worker process ended with exit code {code}."


@dataclass(frozen=True, slots=True)
class InheritedState:
    """What a new process takes over from the process that requested it, as a child would from its parent.

    These are the working directory, the environment variables and the import path.
    """

    folder: str
    variables: Mapping[str, str]
    path: tuple[str, ...]

    @classmethod
    def here(cls) -> InheritedState:
        """Return the surroundings of this process."""
        return cls(os.getcwd(), dict(os.environ), tuple(sys.path))  # noqa: PTH109 (a text)

    def take(self) -> None:
        """Apply these surroundings to this process, except for the variables that set libraries' numbers of threads."""
        for name in os.environ.keys() - self.variables.keys() - set(threads.VARIABLES):
            del os.environ[name]
        os.environ.update({name: value for name, value in self.variables.items() if name not in threads.VARIABLES})
        sys.path[:] = self.path
        with contextlib.suppress(OSError):  # the folder is gone; the coordinator notices that
            os.chdir(self.folder)


class Launcher(ABC):
    """A way to start processes that take orders."""

    def launch(self, serve: str, *arguments: Any, launches: bool = False) -> OrderProcess:
        """Start a process that calls a function with its connection and the given arguments.

        Args:
            serve: The function, as `module:function`.
            *arguments: The arguments after the connection.
            launches: Whether the function gets a launcher as its second argument.

        Raises:
            MdnbenchError: No process can be started.
        """
        started = self._start(launches)
        try:
            started.answering.connection.send((serve, arguments, InheritedState.here()))
        except OSError:
            raise MdnbenchError(f"no worker process can begin: {started.how_it_ended()}") from None
        return started

    @abstractmethod
    def _start(self, launches: bool) -> OrderProcess:
        """Start a process that waits for its function and arguments."""

    @abstractmethod
    def close(self) -> None:
        """End every process that this launcher started."""


def can_fork() -> bool:
    """Return whether processes are forked from a clean server: on Linux, unless MDNBENCH_START is `spawn`."""
    return sys.platform == "linux" and os.environ.get("MDNBENCH_START", "") != "spawn"


_shared: dict[str, ForkLauncher] = {}
_sharing = threading.Lock()


def shared() -> Launcher:
    """Return the launcher for this system. Only this module may close it.

    One server serves all runs of a process, so a notebook imports torch for it only once. The server is replaced when
    the code that it has loaded changes. It ends by itself when it is idle for long.
    """
    if not can_fork():
        return SpawnLauncher()
    holds = _held_code()
    with _sharing:
        for key, launcher in list(_shared.items()):
            if key != holds or not launcher.alive:
                _shared.pop(key).close()
        if holds not in _shared:
            _shared[holds] = ForkLauncher.begin()
        return _shared[holds]


def _held_code() -> str:
    """Return a text that changes when the code of a server changes: by files' times and packages' versions."""
    root = Path(__file__).parents[1]
    newest = max((path.stat().st_mtime_ns, path.name) for path in root.rglob("*.py"))
    return f"{os.getpid()} {newest} {environment.versions(('numpy', 'torch'))}"


def _close_shared() -> None:
    for key in [key for key in _shared if key.startswith(f"{os.getpid()} ")]:  # not those of a parent that forked
        _shared.pop(key).close()


ending.register(_close_shared)


class ForkLauncher(Launcher):
    """A launcher whose processes are forked by a server that has loaded torch and NumPy and nothing else."""

    def __init__(self, line: socket.socket, server: subprocess.Popen[bytes] | None = None, scratch: str = "") -> None:
        self._line = line
        self._server = server
        self._scratch = scratch
        self._asking = threading.Lock()

    @classmethod
    def begin(cls) -> ForkLauncher:
        """Start a new server. It ends when this process ends in any way."""
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        scratch = str(temporary.make_folder("mdnbench-run"))
        path = [os.path.abspath(each) for each in sys.path]  # noqa: PTH100 ('' is the working directory)
        entry = ENTRY.format(path=path, descriptor=there.fileno(), scratch=scratch)
        environment = os.environ | dict.fromkeys(threads.VARIABLES, "1")
        server = subprocess.Popen(
            [sys.executable, "-c", entry], stdin=subprocess.DEVNULL, stdout=_stderr(), pass_fds=[there.fileno()],
            env=environment, start_new_session=True,
        )  # fmt: skip
        there.close()
        return cls(here, server, scratch)

    @property
    def alive(self) -> bool:
        """Return whether the server is running."""
        return self._server is None or self._server.poll() is None

    def _start(self, launches: bool) -> OrderProcess:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            pid = int(self._ask({"op": "fork", "launches": launches}, [there.fileno()])["pid"])
        except BaseException:
            here.close()
            raise
        finally:
            there.close()
        return OrderProcess(pid, Connection(here.detach()), lambda grace_s: self._end(pid, grace_s))

    def _end(self, pid: int, grace_s: float) -> int | None:
        try:
            code = self._ask({"op": "end", "pid": pid, "grace_s": grace_s})["code"]
        except MdnbenchError:  # the server is gone, and with it everything that it forked
            return None
        return None if code is None else int(code)

    def _ask(self, request: dict[str, Any], descriptors: list[int] | None = None) -> dict[str, Any]:
        with self._asking:
            try:
                self._line.settimeout(PROCESS_START_S)
                socket.send_fds(self._line, [json.dumps(request).encode()], descriptors or [])
                content = self._line.recv(MAX_SERVER_MESSAGE_BYTES)
            except TimeoutError:
                message = f"the server of worker processes gave no answer within {PROCESS_START_S:g} s."
                raise MdnbenchError(message) from None
            except OSError as error:
                raise MdnbenchError(f"the server of worker processes is gone ({error}).") from None
        if not content:
            raise MdnbenchError("the server of worker processes ended; its messages are above.")
        answer: dict[str, Any] = json.loads(content)
        if "error" in answer:
            raise MdnbenchError(f"no worker process can be started: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the server and wait for it. The server ends every process that it forked."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()
        if self._server is not None:
            try:
                self._server.wait(10)
            except subprocess.TimeoutExpired:
                process_tree.end(self._server.pid)
                self._server.wait()
            shutil.rmtree(self._scratch, ignore_errors=True)


class SpawnLauncher(Launcher):
    """A launcher that starts a new interpreter for each process. It takes seconds, and works on every system.

    Args:
        within: The folder for temporary files of this process, if it was launched itself.
    """

    def __init__(self, within: str = "") -> None:
        self._within = within
        self._numbers = itertools.count()
        self._alive: set[OrderProcess] = set()

    def _start(self, launches: bool) -> OrderProcess:
        context = spawn.Context()
        here, there = context.Pipe()
        if self._within:  # short, because a socket's path may have 100 characters, and Python's own name takes 33
            scratch = str(Path(self._within) / str(next(self._numbers)))
        else:
            scratch = str(temporary.make_folder("mdnbench-run"))
        process = context.Process(target=_spawned, args=(there, launches, scratch))
        process.start()
        there.close()
        assert process.pid is not None
        started = OrderProcess(process.pid, here, lambda grace_s: self._end(started, process, scratch, grace_s))
        self._alive.add(started)
        return started

    def _end(self, started: OrderProcess, process: Any, scratch: str, grace_s: float) -> int | None:
        self._alive.discard(started)
        if grace_s:
            process.join(grace_s)
        code = process.exitcode
        process_tree.end(process.pid)
        process.join()
        shutil.rmtree(scratch, ignore_errors=True)
        return None if code is None else int(code)

    def close(self) -> None:
        """End every process that this launcher started."""
        for each in list(self._alive):
            each.end()


def _spawned(connection: Connection, launches: bool, scratch: str) -> None:
    """Run a spawned process, which ends with its parent and otherwise does what a forked one does."""
    threads.prepare()
    if hasattr(os, "setsid"):
        os.setsid()
    parent = multiprocessing.parent_process()
    assert parent is not None
    if hasattr(os, "fork"):
        guard.end_with(parent.sentinel)
    else:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    enter(connection, SpawnLauncher(scratch) if launches else None, scratch)


def _end_with(parent: Any) -> None:
    """Kill this process when its parent is gone. This has to wait if C code holds the interpreter's lock."""
    parent.join()
    process_tree.end(os.getpid())


def enter(connection: Connection, launching: Launcher | None, scratch: str) -> None:
    """Run a process that takes orders.

    The process ignores Ctrl-C. Its stdout goes to stderr, because stdout is for data. Its temporary files go into the
    folder `scratch`.

    Args:
        connection: The connection on which the function, its arguments and the surroundings arrive, and later the
            orders.
        launching: A launcher to pass to the function, if it needs one.
        scratch: The folder for temporary files, which is created.
    """
    spawn.ignore_interrupts()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        os.dup2(2, 1)
    Path(scratch).mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = None
    try:
        serve, arguments, surroundings = connection.recv()
    except (EOFError, OSError):
        return
    surroundings.take()
    os.environ["TMPDIR"] = scratch
    module, _, function = serve.partition(":")
    given = (launching, *arguments) if launching else arguments
    getattr(importlib.import_module(module), function)(connection, *given)


def _stderr() -> int | None:
    """Return where a server's stdout goes: to stderr, or nowhere if there is none."""
    try:
        return sys.__stderr__.fileno() if sys.__stderr__ else subprocess.DEVNULL
    except (OSError, ValueError):
        return subprocess.DEVNULL
