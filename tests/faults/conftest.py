"""What the tests of faults share: a method that hangs, and looks at a store and at processes from outside."""

from __future__ import annotations

import json
import sqlite3
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import psutil
import pytest

from mdnbench import api
from mdnbench.spec.records import Tally
from mdnbench.store import CellRow
from mdnbench.util.listener import Listener

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


@dataclass(frozen=True)
class Ran:
    """What came of one run: its cells by method, image and noise, its tally, its notes, and the lines of its tables."""

    rows: Mapping[tuple[str, str, str], CellRow]
    tally: Tally
    notes: tuple[str, ...]
    lines: tuple[str, ...]

    def of(self, method: str, noise: str = "") -> list[CellRow]:
        """The cells of a method, under a noise or under all."""
        return [row for (own, _, under), row in self.rows.items() if own == method and noise in ("", under)]

    def values(self, method: str, metric: str = "psnr", noise: str = "") -> list[float | None]:
        """The scores of a method, image by image; every cell must be ok."""
        assert [row.reason for row in self.of(method, noise) if row.status != "ok"] == []
        return [row.value(metric) for row in self.of(method, noise)]

    def renewed(self, before: Ran) -> set[str]:
        """The methods whose results are not those that an earlier run has found."""
        return {row.method for key, row in self.rows.items() if before.rows[key].output != row.output}

    @property
    def changes(self) -> list[str]:
        """The notes that name changed code."""
        return [note for note in self.notes if "changed" in note]


class _Notes(Listener):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass
class Lab:
    """A folder with two small images and with plugins, and runs over them whose results stay as they were."""

    folder: Path
    plugins: list[Path] = field(default_factory=list)

    def write(self, name: str, text: str, *, plugin: bool = False) -> Path:
        """Write a file; a plugin is given to each run from now on."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        if plugin:
            self.plugins.append(path)
        return path

    def run(self, methods: str, noise: str | list[str] = "gaussian:25", **keys: Any) -> Ran:
        """Run methods on the images, in this process: one slot, PSNR, no timing, unless asked otherwise."""
        notes = _Notes()
        usual: dict[str, Any] = {"metrics": "psnr", "jobs": 1, "plugins": self.plugins, "timeout": 60}
        found = api.run(
            methods=methods.split(), noise=noise, dataset=str(self.folder / "pics"), timing=False, listener=notes,
            workspace_folder=self.folder / ".mdnbench", **usual | keys,
        )  # fmt: skip
        assert found.tally is not None
        rows = {(row.method, row.image, row.noise): row for row in found.rows()}
        lines = tuple(name for table in found.tables for name in table.names)
        return Ran(rows, found.tally, tuple(notes.notes), lines)

    def arguments(self, methods: str, *more: object, noise: str = "gaussian:25") -> list[str]:
        """The arguments of the same run for the command line, with its cells as JSON."""
        plugins = [f"--plugin={path}" for path in self.plugins]
        return [
            "run", "--methods", ",".join(methods.split()), "--noise", noise, "--dataset", str(self.folder / "pics"),
            "--metrics", "psnr", "--no-timing", "--jobs", "1", "--json", *plugins, *map(str, more),
        ]  # fmt: skip


def cells(printed: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The cells that a run has printed as JSON, each with its scores, by method and image."""
    return {(cell["method"], cell["image"]): {**cell, **cell["scores"]} for cell in json.loads(printed)["cells"]}


@pytest.fixture(scope="session")
def printed_cells() -> Callable[[str], dict[tuple[str, str], dict[str, Any]]]:
    """The cells that a run has printed as JSON, by method and image."""
    return cells


@pytest.fixture(scope="session")
def new_lab() -> Callable[[Path], Lab]:
    """`new_lab(folder)` makes a lab with images in a folder."""

    def make(folder: Path) -> Lab:
        (folder / "pics").mkdir()
        y, x = np.mgrid[0:48, 0:48]
        for number in (1, 2):
            pixels = ((x * (4 + number) + y * 3) % 256).astype(np.uint8)
            PIL.Image.fromarray(pixels).save(folder / "pics" / f"{number}.png")
        return Lab(folder)

    return make


@pytest.fixture
def lab(workspace: Path, new_lab: Callable[[Path], Lab]) -> Lab:
    """A lab in this test's folder."""
    return new_lab(workspace)
