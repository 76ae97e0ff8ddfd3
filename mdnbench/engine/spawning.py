"""Fresh processes that leave the caller's script alone.

A spawned process imports the script that began it, for what may be defined there. Ours need nothing of it, and a script
that calls `mdnbench.run(...)` at its top level would run a second time in every worker.
"""

from __future__ import annotations

import threading
from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from typing import Any

_one_at_a_time = threading.Lock()
_prepare = spawn.get_preparation_data


def _without_script(name: str) -> dict[str, Any]:
    """What a new process is told, less the script to import."""
    return {key: value for key, value in _prepare(name).items() if not key.startswith("init_main")}


class Process(SpawnProcess):
    """A spawned process that does not import the script which began it."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:  # noqa: N802 - the name that multiprocessing calls
        with _one_at_a_time:
            spawn.get_preparation_data = _without_script
            try:
                return SpawnProcess._Popen(process_obj)
            finally:
                spawn.get_preparation_data = _prepare


class Context(SpawnContext):
    """The start method `spawn`, for such processes."""

    Process = Process
