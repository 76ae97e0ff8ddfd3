"""The local engine: it computes cells on this machine, with one slot for each worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdnbench.engine.loop import Engine
from mdnbench.engine.tasks import Setup

if TYPE_CHECKING:
    from mdnbench.engine.slots import LocalSlot


class LocalEngine(Engine):
    """An engine that computes tasks on this machine's cores."""

    def __init__(self, setup: Setup, jobs: int) -> None:
        """Set up the engine with at most `jobs` slots."""
        super().__init__()
        self._setup = setup
        self._jobs = jobs

    def _has_capacity(self) -> bool:
        return len(self._slots) < self._jobs

    def _new_slot(self) -> LocalSlot:
        # With multiprocessing and psutil, which a run whose cells are all stored does not need.
        from mdnbench.engine import launcher
        from mdnbench.engine.slots import LocalSlot

        launcher.shared()  # starts the import of torch early
        return LocalSlot(self._setup)
