"""The clean server: a process that imports NumPy and torch, and then does nothing but fork.

It never starts a thread, never touches a GPU and never runs a plugin's code, so what it forks begins clean. It adopts
whatever its children leave behind, and kills all of them when the process that started it is gone: it can, because it
never computes.
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
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mdnbench.engine import family, launching

SUBREAPER, DEATH_SIGNAL = 36, 1  # prctl's
LOOK_S = 1.0
KILLED_S = 5.0  # for a process that was killed to be gone
IDLE_S = 600.0  # a notebook that asks for nothing for so long is not waiting for it


@dataclass
class _Client:
    """Someone who may ask for processes: the coordinator, or a bench."""

    line: socket.socket
    pid: int = 0  # of the bench; 0 for the coordinator
    children: set[int] = field(default_factory=set)


class Server:
    """Forks on request, and ends what it forked."""

    def __init__(self, descriptor: int, scratch: str) -> None:
        self._scratch = Path(scratch)
        self._clients: dict[int, _Client] = {}
        self._selector = selectors.DefaultSelector()
        self._codes: dict[int, int] = {}  # of forked processes that have ended and were not asked about yet
        self._alive: set[int] = set()
        self._add(_Client(socket.socket(fileno=descriptor)))

    def _add(self, client: _Client) -> None:
        self._clients[client.line.fileno()] = client
        self._selector.register(client.line, selectors.EVENT_READ)

    def run(self, trouble: str) -> None:
        """Answer requests until the coordinator is gone; with `trouble`, each request is answered with that."""
        busy = time.monotonic()
        while self._alive or time.monotonic() - busy < IDLE_S:
            for key, _ in self._selector.select(LOOK_S):
                busy = time.monotonic()
                client = self._clients.get(key.fd)
                if client is None:  # it was lost on behalf of another one
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
            content, descriptors, _, _ = socket.recv_fds(client.line, launching.LONGEST_MESSAGE, 1)
        except OSError:
            return None, []
        return (json.loads(content) if content else None), list(descriptors)

    def _answer(self, client: _Client, answer: dict[str, Any], descriptors: list[int]) -> None:
        for each in descriptors:
            os.close(each)
        with contextlib.suppress(OSError):  # who asked is gone: the next look finds that out
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
                self._lose(bench)  # now, so that its children are gone as well when the answer comes
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
        """Become a process that takes orders; never returns."""
        code = 1
        try:
            _prctl(DEATH_SIGNAL, signal.SIGKILL)
            if os.getppid() == 1:  # the server went while this process began
                os._exit(1)
            os.setsid()
            kept = {0, 1, 2, descriptor} | ({line.fileno()} if line else set())
            family.close_others(kept)
            scratch = str(self._scratch / str(os.getpid()))
            launching.enter(Connection(descriptor), launching.ForkLauncher(line) if line else None, scratch)
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _end(self, pid: int, grace_s: float) -> int | None:
        """End a process with whatever it started; its own exit code, None if it had to be killed."""
        until = time.monotonic() + grace_s
        self._reap()
        while pid in self._alive and time.monotonic() < until:
            time.sleep(0.002)
            self._reap()
        code = self._codes.pop(pid, None)
        family.end(pid)
        until = time.monotonic() + KILLED_S
        while pid in self._alive and time.monotonic() < until:
            time.sleep(0.0005)
            self._reap()
        self._alive.discard(pid)  # one that the system holds on to, as in a driver, is not waited for
        self._codes.pop(pid, None)
        self._end_orphans(pid)
        shutil.rmtree(self._scratch / str(pid), ignore_errors=True)
        return code

    def _end_orphans(self, session: int) -> None:
        """Kill what a process left behind in its session: the system has made it this server's child."""
        for orphan in self._orphans():
            with contextlib.suppress(OSError):
                if os.getsid(orphan) == session:
                    family.end(orphan)

    def _orphans(self) -> list[int]:
        return [pid for pid in family.children(os.getpid()) if pid not in self._alive]

    def _reap(self) -> None:
        """Note the exit codes of children that have ended, adopted ones too."""
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
        """End what somebody asked for who is gone."""
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
        for _ in range(3):  # what is killed may have started something a moment before
            for pid in [*self._alive, *self._orphans()]:
                family.end(pid)
            self._reap()
            time.sleep(0.01)
        shutil.rmtree(self._scratch, ignore_errors=True)


def main(descriptor: int, scratch: str) -> None:
    """Serve the process at the other end of a socket until it is gone."""
    if not (hasattr(os, "fork") and hasattr(os, "setsid")):
        raise OSError("this system has no fork; worker processes are spawned here")
    for each in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):  # what the coordinator ignores is handed down
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _prctl(SUBREAPER, 1)
    _prctl(DEATH_SIGNAL, signal.SIGCONT)  # a server that somebody has stopped finds out that the coordinator is gone
    trouble = _prepare()
    server = Server(descriptor, scratch)
    try:
        server.run(trouble)
    finally:
        server.end_all()


def _prepare() -> str:
    """Import what every forked process needs; return what went wrong, or nothing."""
    try:
        import numpy  # noqa: F401
        import torch

        torch.set_num_threads(1)
        from mdnbench.registry import distributions

        distributions.distribution_of("numpy")  # reads which packages are installed, once for all
    except BaseException as error:
        import traceback

        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    gc.collect()
    gc.freeze()  # so that the collector of a forked process leaves these pages alone, and they stay shared
    return ""


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
