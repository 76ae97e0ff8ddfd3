"""A disk that is full, or a kill, while any file is written: the former file stays, and nothing half written."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdnbench import api, weights
from mdnbench.data.leaks import Leak, picture_of
from mdnbench.errors import MdnbenchError, StoreError
from mdnbench.registry import load
from mdnbench.results import Results
from mdnbench.store import open_store, stored_images
from mdnbench.training.log import CsvLog, TrainingProgress, draw, read
from mdnbench.util import atomic, jsonfile
from mdnbench.util.digests import of_pixels

resource = pytest.importorskip("resource", reason="this system has no limits for files")
REPORTERS = ("html", "md", "latex", "csv", "parquet", "json", "figures")
COMMANDS = (
    *(("report", "done", "--to", reporter, "--out", "written") for reporter in REPORTERS),
    ("check", "done", "--baseline", "base", "--junit", "written/verdict.xml"),
    ("check", "done", "--baseline", "base", "--markdown", "written/verdict.md"),
    ("check", "done", "--baseline", "base", "--update"),
    ("plugin", "new", "my-filter", "--kind", "denoiser", "--folder", "written"),
    ("plugin", "new", "my-filter", "--kind", "learned", "--package", "--folder", "written"),
)  # fmt: skip
ADVICE = ("Make room", "make room")


@contextlib.contextmanager
def full_disk(most: int = 40) -> Iterator[None]:
    """No file may grow beyond so many bytes in here: the system refuses to write on, as on a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    no_bytecode = pytest.MonkeyPatch()  # Python would leave .pyc files that are cut short, here and in child processes
    no_bytecode.setattr(sys, "dont_write_bytecode", True)
    no_bytecode.setenv("PYTHONDONTWRITEBYTECODE", "1")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        no_bytecode.undo()


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder with its digest, but for caches and the files that SQLite keeps while it is open."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    named = {str(path.relative_to(folder)): path for path in found}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in named.items() if "home/" not in name}


@pytest.fixture
def said(mdnbench: Callable[..., Any]) -> Callable[..., tuple[int, str]]:
    """`said("report", …)` runs a command in this process: its exit code, and what it complains of."""

    def run(*arguments: object) -> tuple[int, str]:
        found = mdnbench(*arguments)
        return found.code, found.err

    return run


@pytest.fixture
def stored(finished: Results, workspace: Path) -> Iterator[Path]:
    """A store with the finished run `done`, kept open so that SQLite needs no new file, and a baseline of it."""
    folder = Path(shutil.copytree(finished.store.images, workspace / ".mdnbench" / "images")).parent
    with closing(sqlite3.connect(folder / "results.sqlite")) as copy:
        finished.store.connection.backup(copy)
    with open_store(folder / "results.sqlite") as store:
        store.run_names()
        results = api.open_run("done")
        api.write_baseline(results, workspace / "base")
        results.store.close()
        yield folder


SLOW = ("html", "figures")


@pytest.mark.parametrize(
    "command",
    [pytest.param(each, marks=pytest.mark.full) if set(SLOW) & set(each) else each for each in COMMANDS],
    ids=lambda command: "-".join(map(str, command[:4])),
)
def test_fault_60_a_full_disk_while_a_command_writes(
    said: Any, stored: Path, workspace: Path, command: tuple[str, ...]
) -> None:
    """One line that says what to do; where it was written before, each file is the former one, and none is more."""
    for _ in range(2):
        before = files(workspace)
        with full_disk():
            code, complaint = said(*command)
        assert (code, len(complaint.splitlines())) == (3, 1), complaint
        assert any(advice in complaint for advice in ADVICE), complaint
        assert files(workspace) == before
        if command[0] == "plugin":  # which overwrites nothing
            return
        assert said(*command)[0] == 0


def _log(path: Path) -> CsvLog:
    log = CsvLog(path, 0)
    log.add(TrainingProgress(1, 0.5, 1.0, 1.0, 0.001, 0.25, 30.0, 1e6, 0.1))
    return log


def _picture(path: Path) -> Path:
    data = load().datasets["sk12"]
    return picture_of(Leak("01", "01", 1.0, 1.0, 0, False, 9, 1.0, 0.0, 0.0), data, data, path)


def _image(path: Path) -> None:
    image = np.full((64, 64), len(list(path.parent.glob("*"))), np.float32)
    stored_images.save(path.parent / "images", of_pixels(image), image)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "a learning log": _log,
    "a picture of a leak": _picture,
    "an image": _image,
    "a JSON file": lambda path: jsonfile.write(path, {"key": "x" * 100}),
    "a text": lambda path: atomic.write(path, "x" * 100),
    "a text that a person named": lambda path: atomic.write_out(path, "x" * 100),
}


@pytest.mark.parametrize("what", WRITERS)
def test_fault_60_a_full_disk_while_a_file_is_written(workspace: Path, what: str) -> None:
    """What other commands write on their way: the former file, or none, and nothing beside it."""
    path = workspace / "some" / "file"
    path.parent.mkdir()
    for content in (None, b"former"):
        if content:
            path.write_bytes(content)
        before = files(workspace)
        with full_disk(), pytest.raises((OSError, MdnbenchError)):
            WRITERS[what](path)
        assert files(workspace) == before


def test_fault_60_a_full_disk_while_a_log_grows(workspace: Path) -> None:
    """A line is in it whole or not at all, and the curve that is drawn of it is whole or the former one."""
    path = workspace / "log.csv"
    log = _log(path)
    before = path.read_bytes()
    with full_disk(len(before) + 5), pytest.raises(StoreError, match="ake room"):
        log.add(TrainingProgress(2, 1.0, 2.0, 0.0, 0.001, 0.125, 31.0, 1e6, 0.1))
    assert path.read_bytes() == before
    log.add(TrainingProgress(2, 1.0, 2.0, 0.0, 0.001, 0.125, 31.0, 1e6, 0.1))
    assert len(read(path)) == 2
    state = files(workspace)
    with full_disk(), pytest.raises(StoreError, match="ake room"):
        draw(path, workspace / "curve.png")
    assert files(workspace) == state
    draw(path, workspace / "curve.png")
    assert (workspace / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_fault_60_a_full_disk_while_weights_are_exported(workspace: Path) -> None:
    """The former tensors stay with the former card: neither is replaced alone."""
    spec = load().denoisers["dncnn"]
    assert spec.trainable
    found = weights.shipped(spec.trainable)
    if not found:
        pytest.skip("no weights are shipped with dncnn")
    weights.export(found[0], workspace / "mine", "own", half=False)
    before = files(workspace)
    size = (workspace / "mine" / "own.safetensors").stat().st_size
    for most in (40, size // 2, size):  # at the last one the card has room, or nothing is written at all
        with full_disk(most), contextlib.suppress(StoreError):
            weights.export(found[0], workspace / "mine", "own", half=False)
        assert files(workspace) == before


def test_fault_60_no_room_for_the_copy_that_a_merge_checks(said: Any, stored: Path, workspace: Path) -> None:
    """The message names the folder of temporary files, and not the store, which is well."""
    shutil.copytree(stored, workspace / "other")
    with open_store(workspace / "other" / "results.sqlite") as other, full_disk(8192):
        other.run_names()  # so that SQLite has made the files that it keeps next to it
        code, complaint = said("store", "merge", "other")
    assert code == 3
    assert "make room there" in complaint
    assert tempfile.gettempdir() in complaint


KILLED = """
import os, signal, sys
from pathlib import Path
from mdnbench.util import atomic

with atomic.replacing(Path(sys.argv[1])) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_fault_60_a_kill_while_a_file_is_written(workspace: Path) -> None:
    """The former file stays; what the killed process leaves has a name that nobody reads."""
    path = workspace / "table.md"
    path.write_text("former")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "former"
    assert {each.suffix for each in workspace.iterdir() if each.is_file()} == {".md", ".part"}


def test_fault_60_devices_and_links_are_not_replaced_by_mistake(workspace: Path, said: Any, stored: Path) -> None:
    """A verdict may go to a device; a link in a report's place is replaced, and what it leads to stays."""
    assert said("check", "done", "--baseline", "base", "--markdown", "/dev/null")[0] == 0
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OSError, match="is a device"), atomic.replacing(Path("/dev/null")):
        pass
    (workspace / "mine").write_text("mine")
    (workspace / "written").mkdir()
    (workspace / "written" / "table.md").symlink_to(workspace / "mine")
    (workspace / "written" / "figures").symlink_to(workspace, target_is_directory=True)
    assert said("report", "done", "--to", "md", "--out", "written")[0] == 0
    assert not (workspace / "written" / "table.md").is_symlink()
    code, complaint = said("report", "done", "--to", "figures", "--out", "written")
    assert (code, "is a link" in complaint) == (3, True)
    assert (workspace / "mine").read_text() == "mine"
    assert not list(workspace.glob("*.svg"))


def test_fault_60_the_summary_of_a_ci_service_grows_by_whole_verdicts(
    workspace: Path, said: Any, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other steps wrote into it stays, and no half of a verdict comes behind it."""
    summary = workspace / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", os.fspath(summary))
    with full_disk():
        assert said("check", "done", "--baseline", "base")[0] == 3
    assert summary.read_text(encoding="utf-8") == "before\n"
    assert said("check", "done", "--baseline", "base")[0] == 0
    assert summary.read_text(encoding="utf-8").startswith("before\n###")
