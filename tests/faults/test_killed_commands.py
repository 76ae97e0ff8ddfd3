"""Fault 60: SIGKILL at any moment of a command that writes. What it writes is the former one or the new one, whole."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import safetensors.torch
import torch

from mdnbench import api
from mdnbench.results import Results
from mdnbench.training import checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")

TABLES = ("outputs", "scores", "runs", "run_cells", "provenances", "manifests")
TEMPORARY = re.compile(r"\.[0-9a-f]{6}-\d+-[0-9a-f]{8}(\.part)?$")
TRAIN = ("train", "dncnn", "--steps", 12, "--threads", 1, "--name", "moonlit", "--plugin", "moons.py",
         "--set", "data=moons", "--set", "crop=16", "--set", "batch=2", "--set", "validation.every=4",
         "--set", "validation.count=1", "--set", "validation.crop=16")  # fmt: skip
COMMANDS: dict[str, tuple[object, ...]] = {
    "report": ("report", "done", "--to", "html", "--to", "md", "--to", "csv", "--out", "written"),
    "check --update": ("check", "done", "--baseline", "base", "--update"),
    "store merge": ("store", "merge", "other"),
    "store compact": ("store", "compact", "--yes"),
    "weights import": ("weights", "import", "dncnn", "net.pth", "--name", "taken"),
    "weights export": ("weights", "export", "dncnn", "gaussian", "exported", "--rename", "given"),
    "export": ("export", "dncnn", "--to", "onnx", "--out", "net.onnx"),
}
QUICK = ("check --update", "store merge")  # the others only in full


def rows(path: Path) -> dict[str, int]:
    """How many rows each table of a store has; SQLite must find nothing wrong with the file."""
    with closing(sqlite3.connect(path, timeout=30)) as store:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {name: store.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}


def files(folder: Path) -> dict[str, str]:
    """The digest of every file that a person would look at: no caches, no file of SQLite's, nothing temporary."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        cache = name.startswith(("tmp/", "home/")) and not name.startswith("home/weights/")
        if path.is_file() and not cache and ".sqlite" not in path.name and not is_temporary(name):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def is_temporary(name: str) -> bool:
    """Whether a part of a path has a name of those that go by themselves."""
    return any(TEMPORARY.search(part) for part in name.split("/"))


def temporary(folder: Path) -> set[str]:
    """What is left of temporary files and folders; libraries may keep caches among them."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {name for name in names if is_temporary(name)} | {each.name for each in (folder / "tmp").iterdir()}


def processes(folder: Path) -> list[psutil.Process]:
    """The processes that work in a folder, but for this one."""
    found = []
    for each in psutil.process_iter():
        try:
            if each.pid != os.getpid() and Path(each.cwd()).is_relative_to(folder):
                found.append(each)
        except (psutil.Error, OSError):
            continue
    return [each for each in found if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def prepared(finished: Results, workspace: Path, moons: Path, no_data: None) -> Path:
    """A folder with a store, another one to merge, a baseline that is to be renewed, and weights to take in."""
    folder = workspace / "before"
    shutil.copytree(finished.store.images, folder / ".mdnbench" / "images")
    with closing(sqlite3.connect(folder / ".mdnbench" / "results.sqlite")) as copy:
        finished.store.connection.backup(copy)
    shutil.copytree(folder / ".mdnbench", folder / "other")
    with closing(sqlite3.connect(folder / "other" / "results.sqlite")) as other:
        other.execute("UPDATE runs SET name = 'theirs'")
        other.commit()
    shutil.copytree(folder / "other", workspace / "whole")
    with closing(sqlite3.connect(workspace / "whole" / "results.sqlite")) as older:
        older.execute("UPDATE scores SET value = value * 0.9")
        older.commit()
    api.write_baseline(api.open_run("theirs", workspace_folder=workspace / "whole"), folder / "base")
    widths = [(1, 64), *[(64, 64)] * 15, (64, 1)]
    layers = {f"model.{2 * number}.": torch.nn.Conv2d(*each, 3) for number, each in enumerate(widths)}
    torch.save({prefix + key: value for prefix, layer in layers.items() for key, value in layer.state_dict().items()},
               folder / "net.pth")  # fmt: skip
    moons.rename(folder / "moons.py")
    (folder / "tmp").mkdir()
    return folder


class Killer:
    """Runs one command in copies of a prepared folder, and kills it there."""

    def __init__(self, begin: Any, command: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> None:
        self._begin, self._command, self._patch = begin, command, monkeypatch

    def start(self, folder: Path) -> Any:
        """Start the command in a folder."""
        self._patch.chdir(folder)
        return self._begin(*self._command, MDNBENCH_HOME=str(folder / "home"), TMPDIR=str(folder / "tmp"))

    def finish(self, folder: Path) -> float:
        """Let the command end by itself; the seconds that it took."""
        begun = time.monotonic()
        process = self.start(folder)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
        return time.monotonic() - begun

    def kill(self, folder: Path, after_s: float, at_a_write: bool) -> bool:
        """Kill the command so long after its start, or after its first file appears; False if it had ended before."""
        process = self.start(folder)
        if at_a_write:
            before = set(folder.rglob("*"))
            while process.poll() is None and set(folder.rglob("*")) <= before:
                time.sleep(0.001)
        until = time.monotonic() + after_s
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        until = time.monotonic() + 20
        while left := processes(folder):
            assert time.monotonic() < until, left
            time.sleep(0.05)
        return bool(process.returncode == -signal.SIGKILL)


def forget(folder: Path) -> None:
    """Remove the runs of a store, so that no outputs are needed any more."""
    with closing(sqlite3.connect(folder / ".mdnbench" / "results.sqlite")) as store:
        store.execute("DELETE FROM run_cells")
        store.execute("DELETE FROM runs")
        store.commit()


def is_one_of(now: Mapping[str, str], before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Each file is as it was before or as it is in the end, whole."""
    for name, digest in now.items():
        assert digest in (before.get(name), after.get(name)), name
    assert set(now) >= set(before) & set(after)


@pytest.mark.parametrize(
    ("name", "kills"),
    [*((name, 1) for name in QUICK), *(pytest.param(name, 20, marks=pytest.mark.full) for name in COMMANDS)],
)
def test_fault_60_a_command_killed_at_random_moments(
    prepared: Path, workspace: Path, begin: Any, monkeypatch: pytest.MonkeyPatch, name: str, kills: int
) -> None:
    """Files and stores are whole each time, no process is left; run again, it ends as if nothing had happened."""
    if name == "export":
        pytest.importorskip("onnx", reason="onnx is not installed")
    if name == "store compact":
        forget(prepared)
    killer = Killer(begin, COMMANDS[name], monkeypatch)
    done = workspace / "done"
    shutil.copytree(prepared, done)
    lasts = killer.finish(done)
    before, after = files(prepared), files(done)
    counts = [rows(folder / ".mdnbench" / "results.sqlite") for folder in (prepared, done)]
    assert (before, counts[0]) != (after, counts[1])  # it does something
    assert not any(map(is_temporary, temporary(done)))
    chance, killed = random.Random(name), 0
    for number in range(3 * kills):  # a command that had ended before its kill is tried again
        if killed == kills:
            break
        folder = workspace / f"kill-{number}"
        shutil.copytree(prepared, folder)
        at_a_write = number % 2 == 0
        killed += killer.kill(folder, chance.uniform(0, 0.1 if at_a_write else lasts), at_a_write)
        is_one_of(files(folder), before, after)
        assert rows(folder / ".mdnbench" / "results.sqlite") in counts
        killer.finish(folder)
        assert files(folder) == after
        assert rows(folder / ".mdnbench" / "results.sqlite") == counts[1]
        assert temporary(folder) <= temporary(done)
        shutil.rmtree(folder)
    assert killed == kills


@pytest.mark.full
def test_fault_60_a_training_killed_at_random_moments(
    prepared: Path, workspace: Path, begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints and weights are whole each time, no process is left; in the end, the weights are the same bits."""
    killer = Killer(begin, TRAIN, monkeypatch)
    done, folder = workspace / "done", workspace / "killed"
    shutil.copytree(prepared, done)
    lasts = killer.finish(done)
    shutil.copytree(prepared, folder)
    chance, killed = random.Random("train"), 0
    for number in range(20):
        at_a_write = bool(number % 2)
        killed += killer.kill(folder, chance.uniform(0, 2.0 if at_a_write else lasts), at_a_write)
        for path in folder.rglob("checkpoint.pt"):
            assert checkpoint.load(path, "cpu")
        for path in folder.rglob("home/weights/**/*.safetensors"):
            assert safetensors.torch.load_file(path)
    assert killed >= 5  # once it has ended, it has nothing left to do
    killer.finish(folder)
    made = "home/weights/dncnn/moonlit.safetensors"
    assert (folder / made).read_bytes() == (done / made).read_bytes()
    assert temporary(folder) <= temporary(done)
