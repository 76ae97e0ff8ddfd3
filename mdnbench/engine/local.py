"""The local engine: one slot per worker, on this machine's cores."""

from __future__ import annotations

from mdnbench.engine import launching
from mdnbench.engine.loop import Engine
from mdnbench.engine.slots import LocalSlot
from mdnbench.engine.tasks import Setup


class LocalEngine(Engine):
    """Runs tasks on this machine's cores."""

    def __init__(self, setup: Setup, jobs: int) -> None:
        """`jobs` is the number of slots."""
        super().__init__()
        self._setup = setup
        self._jobs = jobs

    def _room(self) -> bool:
        return len(self._slots) < self._jobs

    def _recruit(self) -> LocalSlot:
        launching.shared()  # it imports torch while everything else is made ready
        return LocalSlot(self._setup)
