"""The local engine: one worker process per slot, on this machine's cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mdnbench.engine.loop import Engine
from mdnbench.engine.slots import ProcessSlot
from mdnbench.engine.tasks import Setup


class LocalEngine(Engine):
    """Runs tasks on this machine's cores."""

    def __init__(self, setup: Setup, jobs: int, timeout: float, memory_bytes: int = 0) -> None:
        """`jobs` is the number of workers, `timeout` in seconds per cell, `memory_bytes` per worker (0: no bound)."""
        super().__init__()
        self._setup = setup
        self._jobs = jobs
        self._timeout = timeout
        self._memory_bytes = memory_bytes

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function gives in a worker that will have cells later; whatever it raises is raised here."""
        slot = self._recruit()
        self._slots.append(slot)
        return slot.ask(function, *arguments)

    def _room(self) -> bool:
        return len(self._slots) < self._jobs

    def _recruit(self) -> ProcessSlot:
        return ProcessSlot(self._setup, self._timeout, self._memory_bytes)
