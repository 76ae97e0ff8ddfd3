"""What the tests of faults share: commands that run in the background, and looks at a store from outside."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

Begin = Callable[..., subprocess.Popen[str]]

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
def begin(workspace: Path) -> Iterator[Begin]:
    """`begin("run", …)` starts the real command line and comes back at once; what is left of it ends with the test."""
    begun: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "mdnbench", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | variables,
            start_new_session=True,
        )  # fmt: skip
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def hangs(plugin: Callable[..., Path]) -> Path:
    """A plugin file: its method hangs on images 256 wide, beside a process of its own, and leaves both numbers."""
    return plugin(HANGS)


@dataclass(frozen=True)
class Outside:
    """A look at a workspace's store and at processes, by SQLite and the operating system alone."""

    path: Path

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

    def wait(self, until: Callable[[], Any], seconds: float = 90) -> None:
        """Wait for something to be true; the test fails where it does not come."""
        start = time.monotonic()
        while not until():
            assert time.monotonic() - start < seconds, "what was waited for did not come"
            time.sleep(0.02)

    def alive(self, *files: Path) -> list[int]:
        """Those processes, whose numbers stand in files, that still run."""
        found = []
        for number in (int(file.read_text()) for file in files):
            if psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
                found.append(number)
        return found


@pytest.fixture
def outside(workspace: Path) -> Outside:
    """A look at this test's workspace from outside."""
    return Outside(workspace / ".mdnbench" / "results.sqlite")
