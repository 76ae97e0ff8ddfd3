"""Pipes, links and folders in the places of a received store's files, and a `run.json` that leads elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdnbench import api
from mdnbench.store import stored_images
from mdnbench.util.digests import of_pixels

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither such pipes nor such links"),
]
JOURNAL_END = bytes.fromhex("d9d505f920a163d7")


def put(kind: str, path: Path, target: Path) -> None:
    """Put something else in a file's place."""
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path may have a hundred letters
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
        os.chdir(here)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"device": Path("/dev/zero"), "link": target, "circle": path}[kind])


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device", "link", "circle"])
@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal"])
def test_fault_55_no_ordinary_file_in_a_stores_place(
    said: Any, stored: Path, other: Path, workspace: Path, kind: str, ending: str
) -> None:
    """Nobody waits for it, and nothing is written through it: it is named where it is refused."""
    target = workspace / "elsewhere"
    target.write_bytes(b"mine")
    for folder, command in ((other, ("store", "merge", "other")), (stored, ("report", "done"))):
        path = folder / f"results.sqlite{ending}"
        put(kind, path, target)
        found = said(*command)
        assert found.code in (2, 3, 5), found
        assert ending == "" or path.name in found.err, found
        assert target.read_bytes() == b"mine"


def test_fault_55_a_journal_that_names_a_file_removes_none(
    said: Any, stored: Path, other: Path, workspace: Path
) -> None:
    """SQLite rolls a journal back and then removes the file that it names: the store is refused before that."""
    mine = workspace / "mine.txt"
    mine.write_bytes(b"mine")
    name = str(mine).encode()
    tail = (1).to_bytes(4) + name + len(name).to_bytes(4) + sum(name).to_bytes(4) + JOURNAL_END
    for folder, command in ((other, ("store", "merge", "other")), (stored, ("list", "runs"))):
        journal = folder / "results.sqlite-journal"
        journal.write_bytes(b"\x00" * 512 + tail)
        found = said(*command)
        assert (found.code, str(journal.name) in found.err) == (3, True), found
        assert mine.read_bytes() == b"mine"


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device", "circle"])
def test_fault_55_no_ordinary_file_among_the_images(said: Any, stored: Path, other: Path, kind: str) -> None:
    """It is no image, for reports, checks and merges; `store check` names it, and nobody waits for it."""
    for folder in (stored, other):
        for path in list((folder / "images").rglob("*.npy")):
            put(kind, path, folder)
    assert said("report", "done", "--to", "html").code == 0
    assert said("store", "merge", "other").code == 0
    assert said("store", "compact", "--yes").code == 0
    if kind != "folder":
        assert said("store", "check").code == 4
    assert said("rescore", "done").code == 5


def test_fault_55_an_image_that_claims_to_be_huge(workspace: Path) -> None:
    """Its header is compared with its file before a byte is set aside; what has other pixels is no image either."""
    image = np.zeros((4, 4), np.float32)
    digest = of_pixels(image)
    path = stored_images.save(workspace / "images", digest, image)
    sound = path.read_bytes()
    for shape in (b"(900000, 900000), ", b"(-4, -4), }       ", b"(True, 16), }     "):
        path.write_bytes(sound.replace(b"(4, 4), }         ", shape))
        start = time.monotonic()
        assert stored_images.load(workspace / "images", digest) is None
        assert time.monotonic() - start < 5
    path.write_bytes(sound + b"more")
    assert stored_images.load(workspace / "images", digest) is None
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    assert stored_images.load(workspace / "images", digest) is None


def test_fault_55_a_link_for_the_folder_of_images(said: Any, stored: Path, other: Path, workspace: Path) -> None:
    """Nothing is written or removed where it leads, however old; nothing there is read as an image."""
    theirs = workspace / "theirs" / "ab"
    theirs.mkdir(parents=True)
    (theirs / f"{'ab' * 32}.npy").write_bytes(b"precious")
    os.utime(theirs / f"{'ab' * 32}.npy", (1, 1))
    shutil.rmtree(stored / "images")
    (stored / "images").symlink_to(workspace / "theirs", target_is_directory=True)
    assert said("store", "compact", "--yes").code == 0
    found = said("store", "merge", "other")
    assert (found.code, "is a link to another place" in found.err) == (3, True)
    assert [path.name for path in (workspace / "theirs").rglob("*.npy")] == [f"{'ab' * 32}.npy"]


def _note(folder: Path, /, **content: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.json"
    path.write_text(json.dumps({"name": "done", "store": "../../results.sqlite"} | content), encoding="utf-8")
    return path


@pytest.mark.parametrize("place", ["../../../home-of-mine", "absolute", "link"])
def test_fault_55_a_run_whose_folder_is_elsewhere(
    said: Any, stored: Path, workspace: Path, files: Any, place: str
) -> None:
    """Nothing is written there; the message names the file that says so, or the link, and --out writes the report."""
    mine = workspace / "home-of-mine"
    mine.mkdir()
    (mine / "table.md").write_text("mine", encoding="utf-8")
    here = stored / "runs" / "done"
    if place == "link":
        here.parent.mkdir()
        here.symlink_to(mine, target_is_directory=True)
    else:
        _note(here, folder=str(mine) if place == "absolute" else place)
    before = files(mine)
    found = said("report", "done")
    assert (found.code, str(here) in found.err) == (2, True), found
    assert files(mine) == before
    assert said("report", "done", "--to", "md", "--out", "mine").code == 0
    assert (workspace / "mine" / "table.md").is_file()


def test_fault_55_a_run_is_not_written_through_a_link(stored: Path, workspace: Path, said: Any, files: Any) -> None:
    """Where the folder of a new run's files is a link out of the workspace, the run is refused before it begins."""
    (workspace / "mine").mkdir()
    for command, kind in (("run", "runs"), ("time", "timings")):
        (stored / kind).mkdir()
        (stored / kind / "new").symlink_to(workspace / "mine", target_is_directory=True)
        found = said(command, "--methods", "noisy", "--sigma", 50, "--dataset", "sk12", "--out", "new")
        assert (found.code, "by a link, outside the workspace" in found.err) == (3, True), found
    assert files(workspace / "mine") == {}


@pytest.mark.parametrize(
    "content",
    [
        {"name": "../../x"}, {"store": "../../../../far/results.sqlite"}, {"folder": 5}, {"name": "a\x00b"},
        {"store": "a\x00b"}, {"folder": "a\x00b"}, {"name": "x" * 500}, {"name": ""}, {"store": "x" * 5000},
    ],
)  # fmt: skip
def test_fault_55_a_run_file_that_leads_nowhere(said: Any, stored: Path, around: Any, content: dict[str, Any]) -> None:
    """It is named, and nothing is written."""
    path = _note(stored / "runs" / "done", **content)
    before = around(stored)
    found = said("report", "done")
    assert found.code in (2, 5), found
    assert str(path) in found.err
    assert around(stored) == before


def test_fault_55_a_received_folder_does_not_open_another_store(
    said: Any, stored: Path, other: Path, workspace: Path, files: Any
) -> None:
    """A folder of reports names a store of mine that has no run there: the store is not opened."""
    path = _note(workspace / "received", store="../other/results.sqlite")
    before = files(other)
    found = said("report", "received")
    assert (found.code, "received/run.json" in found.err) == (2, True), found
    assert files(other) == before
    assert path.is_file()


def test_a_folder_that_was_asked_for_is_written(workspace: Path) -> None:
    """Folder and workspace name each other from the beginning, so that a run that was stopped has its reports there."""
    made = api.run(
        methods="noisy", sigma=50, dataset="sk12", images="01", metrics="psnr", timing=False, jobs=1, out="far/run",
    )  # fmt: skip
    (workspace / "far" / "run" / "table.md").unlink()
    made.store.close()
    assert api.report(api.open_run("run"), ["md"]) == [(workspace / "far" / "run" / "table.md").resolve()]
    assert api.report(api.open_run("far/run"), ["csv"])
