"""The clean server: a process that imports NumPy and torch, and then only forks.

It never starts a thread, uses a GPU or runs a plugin's code, so the processes that it forks are clean. The system makes
it the parent of processes that its children leave behind. Because it never computes, it can always react, and kills all
of them when the process that started it is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mdnbench.engine import launcher, process_tree
from mdnbench.util.limits import KILLED_S, MAX_SERVER_MESSAGE_BYTES, SERVER_IDLE_S

SUBREAPER, DEATH_SIGNAL = 36, 1  # option numbers of prctl
LOOK_S = 1.0


@dataclass
class _Client:
    """A process that may request processes: the coordinator, or a bench."""

    line: socket.socket
    pid: int = 0  # the id of the bench; 0 for the coordinator
    children: set[int] = field(default_factory=set)


class Server:
    """The server's state: its clients, and the processes that it has forked."""

    def __init__(self, descriptor: int, scratch: str) -> None:
        self._scratch = Path(scratch)
        self._clients: dict[int, _Client] = {}
        self._selector = selectors.DefaultSelector()
        self._codes: dict[int, int] = {}  # exit codes of forked processes that no client has read yet
        self._alive: set[int] = set()
        self._add(_Client(socket.socket(fileno=descriptor)))

    def _add(self, client: _Client) -> None:
        self._clients[client.line.fileno()] = client
        self._selector.register(client.line, selectors.EVENT_READ)

    def run(self, trouble: str) -> None:
        """Answer requests until the coordinator is gone, or no child is left and SERVER_IDLE_S are over.

        Args:
            trouble: If not empty, the error that answers each request.
        """
        busy = time.monotonic()
        while self._alive or time.monotonic() - busy < SERVER_IDLE_S:
            for key, _ in self._selector.select(LOOK_S):
                busy = time.monotonic()
                client = self._clients.get(key.fd)
                if client is None:  # it was removed while another client was served
                    continue
                request, descriptors = self._receive(client)
                if request is None:
                    self._lose(client)
                    if not client.pid:
                        return
                elif trouble:
                    self._answer(client, {"error": trouble}, descriptors)
                else:
                    self._do(client, request, descriptors)
            self._reap()

    def _receive(self, client: _Client) -> tuple[dict[str, Any] | None, list[int]]:
        try:
            content, descriptors, _, _ = socket.recv_fds(client.line, MAX_SERVER_MESSAGE_BYTES, 1)
        except OSError:
            return None, []
        return (json.loads(content) if content else None), list(descriptors)

    def _answer(self, client: _Client, answer: dict[str, Any], descriptors: list[int]) -> None:
        for each in descriptors:
            os.close(each)
        with contextlib.suppress(OSError):  # the client is gone, which the next check finds out
            client.line.send(json.dumps(answer).encode())

    def _do(self, client: _Client, request: dict[str, Any], descriptors: list[int]) -> None:
        if request["op"] == "fork":
            try:
                pid = self._fork(client, descriptors[0], request["launches"])
            except OSError as error:
                self._answer(client, {"error": f"the system starts no process: {error}"}, descriptors)
                return
            self._answer(client, {"pid": pid}, descriptors)
        else:
            code = self._end(request["pid"], request["grace_s"])
            client.children.discard(request["pid"])
            for bench in [each for each in self._clients.values() if each.pid == request["pid"]]:
                self._lose(bench)  # before the answer is sent, because the bench's children must be gone by then
            self._answer(client, {"code": code}, descriptors)

    def _fork(self, client: _Client, descriptor: int, launches: bool) -> int:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) if launches else (None, None)
        pid = os.fork()
        if pid == 0:
            self._be_child(descriptor, there)
        if there is not None and here is not None:
            there.close()
            self._add(_Client(here, pid))
        self._alive.add(pid)
        client.children.add(pid)
        return pid

    def _be_child(self, descriptor: int, line: socket.socket | None) -> None:
        """Become a process that takes orders. Never return."""
        code = 1
        try:
            _prctl(DEATH_SIGNAL, signal.SIGKILL)
            if os.getppid() == 1:  # the server ended while this process started
                os._exit(1)
            os.setsid()
            kept = {0, 1, 2, descriptor} | ({line.fileno()} if line else set())
            process_tree.close_others(kept)
            scratch = str(self._scratch / str(os.getpid()))
            launcher.enter(Connection(descriptor), launcher.ForkLauncher(line) if line else None, scratch)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _end(self, pid: int, grace_s: float) -> int | None:
        """End a process and its descendants. Return its exit code, or None if it had to be killed."""
        until = time.monotonic() + grace_s
        self._reap()
        while pid in self._alive and time.monotonic() < until:
            time.sleep(0.002)
            self._reap()
        code = self._codes.pop(pid, None)
        process_tree.end(pid)
        until = time.monotonic() + KILLED_S
        while pid in self._alive and time.monotonic() < until:
            time.sleep(0.0005)
            self._reap()
        self._alive.discard(pid)  # do not wait for a process that the system cannot end, as inside a driver
        self._codes.pop(pid, None)
        self._end_orphans(pid)
        shutil.rmtree(self._scratch / str(pid), ignore_errors=True)
        return code

    def _end_orphans(self, session: int) -> None:
        """Kill the processes that one process left behind in its session.

        The system has made them this server's children.
        """
        for orphan in self._orphans():
            with contextlib.suppress(OSError):
                if os.getsid(orphan) == session:
                    process_tree.end(orphan)

    def _orphans(self) -> list[int]:
        return [pid for pid in process_tree.children(os.getpid()) if pid not in self._alive]

    def _reap(self) -> None:
        """Note the exit codes of children that have ended, adopted ones included."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in self._alive:
                self._alive.discard(pid)
                self._codes[pid] = os.waitstatus_to_exitcode(status)

    def _lose(self, client: _Client) -> None:
        """Remove a client that is gone, and end the processes that were started for it."""
        self._selector.unregister(client.line)
        del self._clients[client.line.fileno()]
        client.line.close()
        for pid in list(client.children):
            self._end(pid, 0)
            self._codes.pop(pid, None)

    def end_all(self) -> None:
        """Kill every process that was forked or adopted here, and remove their temporary files."""
        for client in list(self._clients.values()):
            self._lose(client)
        for _ in range(3):  # a process may have started another one just before it was killed
            for pid in [*self._alive, *self._orphans()]:
                process_tree.end(pid)
            self._reap()
            time.sleep(0.01)
        shutil.rmtree(self._scratch, ignore_errors=True)


def main(descriptor: int, scratch: str) -> None:
    """Serve the process at the other end of a socket until it is gone.

    Args:
        descriptor: The file descriptor of the socket.
        scratch: The folder for temporary files, which is removed at the end.

    Raises:
        OSError: This system has no fork.
    """
    if not (hasattr(os, "fork") and hasattr(os, "setsid")):
        raise OSError("this system has no fork; worker processes are spawned here")
    for each in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):  # ignored signals are inherited
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _prctl(SUBREAPER, 1)
    _prctl(DEATH_SIGNAL, signal.SIGCONT)  # wakes a server that was stopped when the coordinator is gone
    trouble = _prepare()
    server = Server(descriptor, scratch)
    try:
        server.run(trouble)
    finally:
        server.end_all()


def _prepare() -> str:
    """Import what every forked process needs. Return the error, or an empty text."""
    try:
        import numpy  # noqa: F401
        import torch

        torch.set_num_threads(1)
        from mdnbench.registry import distributions

        distributions.distribution_of("numpy")  # reads the list of installed packages once for all processes
    except BaseException as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    gc.collect()
    gc.freeze()  # keeps these pages shared: a forked process's collector would write to them
    return ""


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
