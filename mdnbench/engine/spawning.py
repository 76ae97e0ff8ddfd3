"""Fresh processes that leave the caller's script alone.

A spawned process imports the script that began it, for what may be defined there. Ours need nothing of it, and a script
that calls `mdnbench.run(...)` at its top level would run a second time in every worker.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import process, resource_tracker, spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

_one_at_a_time = threading.Lock()
_prepare = spawn.get_preparation_data


def _without_script(name: str) -> dict[str, Any]:
    """What a new process is told, less the script to import."""
    return {key: value for key, value in _prepare(name).items() if not key.startswith("init_main")}


@contextmanager
def without_script() -> Iterator[None]:
    """While inside, no spawned process imports the script which began it, whoever spawns it."""
    before = spawn.get_preparation_data
    spawn.get_preparation_data = _without_script
    try:
        yield
    finally:
        spawn.get_preparation_data = before


@contextmanager
def _as_a_parent() -> Iterator[None]:
    """Let a daemonic process, as Dask's workers are, have children: ours end themselves when their parent is gone."""
    config: dict[str, Any] = process.current_process()._config  # type: ignore[attr-defined]
    before = config.get("daemon")
    config["daemon"] = False
    try:
        yield
    finally:
        config["daemon"] = before


@contextmanager
def _deaf() -> Iterator[None]:
    """Have new processes begin deaf to Ctrl-C: until they say what they do of it, it would be a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # or it would be begun in here, and end the silence
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the coordinator, for good: called in a process that was begun here."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


class Process(SpawnProcess):
    """A spawned process that does not import the script which began it."""

    def start(self) -> None:
        """Begin."""
        with _one_at_a_time, _as_a_parent(), without_script(), _deaf():
            super().start()


class Context(SpawnContext):
    """The start method `spawn`, for such processes."""

    Process = Process
