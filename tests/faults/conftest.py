"""What the tests of faults share: a method that hangs, and looks at a store and at processes from outside."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

HANGS = """
import os, subprocess, time
from pathlib import Path

def denoise(noisy, noise):
    if noisy.shape[-1] == 256:
        Path("child.pid").write_text(str(subprocess.Popen(["sleep", "600"]).pid))
        Path("worker.pid").write_text(str(os.getpid()))
        time.sleep(600)
    return noisy.clone()

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("hangs", "1", "hangs", lambda options, device, weights: denoise)]
"""


@pytest.fixture
def hangs(plugin: Callable[..., Path]) -> Path:
    """A plugin file: its method hangs on images 256 wide, beside a process of its own, and leaves both numbers."""
    return plugin(HANGS)


@dataclass(frozen=True)
class Outside:
    """A look at a workspace's store and at processes, by SQLite and the operating system alone."""

    path: Path
    wait: Callable[..., None]

    def count(self, table: str = "outputs") -> int:
        """How many rows a table has; 0 where it is not there yet."""
        found = self._ask(f"SELECT count(*) FROM {table}") if self.path.exists() else None
        return int(found[0]) if found else 0

    def sound(self) -> bool:
        """Whether SQLite finds nothing wrong with the file."""
        return self._ask("PRAGMA integrity_check") == ("ok",)

    def _ask(self, query: str) -> tuple[Any, ...] | None:
        connection = sqlite3.connect(self.path, timeout=30)
        try:
            found: tuple[Any, ...] = connection.execute(query).fetchone()
        except sqlite3.OperationalError:
            return None
        finally:
            connection.close()
        return found

    def alive(self, *files: Path) -> list[int]:
        """Those processes, whose numbers stand in files, that still run."""
        found = []
        for number in (int(file.read_text()) for file in files):
            if psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
                found.append(number)
        return found


@pytest.fixture
def outside(workspace: Path, wait: Callable[..., None]) -> Outside:
    """A look at this test's workspace from outside."""
    return Outside(workspace / ".mdnbench" / "results.sqlite", wait)
