"""The store under fire: two runs at once, a full disk, a read-only folder, a file that is no store."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.errors import StoreError
from mdnbench.results import Results
from mdnbench.store import open_store

Cli = Callable[..., subprocess.CompletedProcess[str]]
Plugin = Callable[..., Path]

SLOW = """
import time

def denoise(noisy, noise):
    time.sleep(0.1)
    return noisy.clone()

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("slow", "1", "slow", lambda options, device, weights: denoise)]
"""
COMMON = ("--sigma", "50", "--dataset", "sk12", "--metrics", "psnr", "--no-timing", "--jobs", "1")


@pytest.fixture
def small_disk(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of 1.5 MiB as working directory: a tmpfs, which root alone may mount."""
    folder = workspace / "small"
    folder.mkdir()
    if mount("-t", "tmpfs", "-o", "size=1536k", "tmpfs", folder):
        pytest.skip("a small disk can be mounted by root only")
    monkeypatch.chdir(folder)
    yield folder
    monkeypatch.chdir(workspace)
    subprocess.run(["umount", "-l", folder], check=False)


def mount(*arguments: object) -> int:
    """Mount something; the exit code, 1 where there is no such command."""
    try:
        return subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False).returncode
    except OSError:
        return 1


@pytest.mark.parametrize(
    ("names", "seeds"),
    [
        ("one one", 4),
        pytest.param("first second", 4, marks=pytest.mark.full),
        pytest.param("a a b b c d", 60, marks=pytest.mark.full),
    ],
)
def test_fault_03_two_runs_on_one_store_at_once(
    plugin: Plugin, begin: Any, outside: Any, names: str, seeds: int
) -> None:
    """Under one name or several, with all of their cells in common: each is there once, and nobody met a lock."""
    path, cells = plugin(SLOW), 2 * 2 * seeds
    runs = [
        begin("run", "--plugin", path, "--methods", "slow,noisy", "--images", "01,02", "--seeds", seeds, *COMMON,
              "--json", "--out", name)
        for name in names.split()
    ]  # fmt: skip
    said = [run.communicate(timeout=300) for run in runs]
    for run, (_, err) in zip(runs, said, strict=True):
        assert run.returncode == 0, err
        assert "locked" not in err
    assert json.loads(said[0][0])["cells"]
    for out, _ in said:
        assert json.loads(out)["counts"] == {"ok": cells}
    assert (outside.count(), outside.count("run_cells")) == (cells, cells * len(set(names.split())))
    assert outside.sound()


def test_fault_20_a_full_disk(small_disk: Path, cli: Cli, outside: Any) -> None:
    """One clear line and exit code 3; what was finished stays, and with more room the same command goes on."""
    command = ("run", "--methods", "noisy,median", "--seeds", 4, "--keep-images", "all", "--images", "01,02", *COMMON)
    full = cli(*command)
    assert full.returncode == 3, full.stderr
    assert "Traceback" not in full.stderr
    assert len(full.stderr.splitlines()) == 1
    assert "o space left" in full.stderr or "disk is full" in full.stderr
    store = dataclasses.replace(outside, path=small_disk / ".mdnbench" / "results.sqlite")
    finished = store.count()
    assert store.sound()
    assert 0 < finished < 16
    assert not list((small_disk / ".mdnbench").rglob("*.part"))
    assert mount("-o", "remount,size=32m", small_disk) == 0
    again = cli(*command, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["counts"] == {"ok": 16}
    assert store.sound()


def test_fault_20_a_read_only_folder(small_disk: Path, cli: Cli, workspace: Path) -> None:
    """The workspace goes to MDNBENCH_HOME; where that cannot be written either, one line and exit code 3."""
    assert mount("-o", "remount,ro", small_disk) == 0
    command = ("run", "--methods", "noisy", "--images", "01", *COMMON)
    done = cli(*command)
    assert done.returncode == 0, done.stderr
    assert list((workspace / "home" / "workspaces").rglob("results.sqlite"))
    refused = cli(*command, MDNBENCH_HOME=os.fspath(small_disk / "home"))
    assert refused.returncode == 3
    (line,) = refused.stderr.splitlines()
    assert "cannot be used" in line
    assert "ead-only" in line


@pytest.mark.parametrize("damage", ["text", "cut", "pages"])
def test_fault_29_a_store_that_is_damaged(cli: Cli, workspace: Path, outside: Any, damage: str) -> None:
    """Whatever command meets it says which file it is and what to do, and changes no byte of it."""
    assert cli("run", "--methods", "noisy", "--images", "01", *COMMON).returncode == 0
    sound = outside.path.read_bytes()
    broken = {
        "text": b"dear diary, " * 400,
        "cut": sound[: len(sound) // 2 + 100],
        "pages": sound[:4096] + b"\xa5" * (len(sound) - 4096),
    }[damage]
    outside.path.write_bytes(broken)
    for command in (("run", "--methods", "noisy", "--images", "01", *COMMON), ("list", "runs")):
        said = cli(*command)
        assert said.returncode == 3, said.stdout + said.stderr
        (line,) = said.stderr.splitlines()
        assert str(outside.path) in line
        assert "ove it away" in line
        assert outside.path.read_bytes() == broken


def test_a_folder_that_cannot_be_written_is_refused_first(finished: Results, workspace: Path) -> None:
    """For a run before a cell is computed and before the run has a name, for a report, and for pictures of leaks."""
    (workspace / "file.txt").write_text("no folder", encoding="utf-8")
    place = workspace / "file.txt"
    with pytest.raises(StoreError, match=r"file\.txt.* cannot be written: .*choose another folder"):
        api.run(methods=["median"], sigma=50, dataset="sk12", images=["01"], timing=False, out=str(place))
    store = open_store(workspace / ".mdnbench" / "results.sqlite")
    assert store.run("file.txt") is None
    store.close()
    for folder in (place, place / "below"):
        with pytest.raises(StoreError, match=r"file\.txt.* cannot be written"):
            api.report(finished, ["md"], folder=folder)
        with pytest.raises(StoreError, match=r"file\.txt.* cannot be written"):
            api.find_leaks("sk12", "sk12", pictures=folder)
