"""Spawned processes that do not run the caller's script.

Python's spawned processes import the script that started them, for the definitions in it. Ours need nothing of it. A
script that calls `mdnbench.run(...)` at its top level would otherwise run a second time in every worker.
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
    """Return the data that a new process starts with, except for the script to import."""
    return {key: value for key, value in _prepare(name).items() if not key.startswith("init_main")}


@contextmanager
def without_script() -> Iterator[None]:
    """Keep every process that is spawned inside the context, by any code, from importing the script that started it."""
    before = spawn.get_preparation_data
    spawn.get_preparation_data = _without_script
    try:
        yield
    finally:
        spawn.get_preparation_data = before


@contextmanager
def _as_a_parent() -> Iterator[None]:
    """Let a daemonic process, such as a Dask worker, start child processes.

    This is safe because the children that mdnbench starts end by themselves when their parent has ended.
    """
    config: dict[str, Any] = process.current_process()._config  # type: ignore[attr-defined]
    before = config.get("daemon")
    config["daemon"] = False
    try:
        yield
    finally:
        config["daemon"] = before


@contextmanager
def _deaf() -> Iterator[None]:
    """Make new processes start with Ctrl-C blocked. Before they handle it, it would end in a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # if it started inside this block, it would unblock Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """Ignore Ctrl-C in this process for good, and unblock it. The coordinator decides when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


class SpawnedProcess(SpawnProcess):
    """A spawned process that does not import the script that started it."""

    def start(self) -> None:
        """Start the process."""
        with _one_at_a_time, _as_a_parent(), without_script(), _deaf():
            super().start()


class Context(SpawnContext):
    """The start method `spawn`, with processes that do not import the script."""

    Process = SpawnedProcess
