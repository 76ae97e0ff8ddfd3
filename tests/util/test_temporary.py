"""Temporary files: what a killed process has left goes, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mdnbench.util import atomic, temporary

LEAVES = """
import os, sys
from pathlib import Path
from mdnbench.util import temporary

folder = Path(sys.argv[1])
temporary.make_folder("scratch", folder).joinpath("file").write_text("half")
temporary.part_of(folder / "table.md").write_text("half")
os._exit(1)
"""


@pytest.fixture
def place(workspace: Path) -> Path:
    """A folder in which a process has left a file and a folder, beside what others have there."""
    place = workspace / "place"
    place.mkdir()
    (place / "table.md").write_text("whole")
    (place / "mine.part").write_text("mine")
    subprocess.run([sys.executable, "-c", LEAVES, str(place)], check=False)
    assert len(list(place.iterdir())) == 4
    temporary.clear.cache_clear()
    return place


def names(place: Path) -> set[str]:
    """What is in a folder."""
    return {each.name for each in place.iterdir()}


def test_the_next_writer_removes_what_a_killed_one_left(place: Path) -> None:
    """Whatever it writes in the same folder; files of others stay, whatever they are called."""
    atomic.write(place / "other.md", "text")
    assert names(place) == {"table.md", "mine.part", "other.md"}


def test_so_does_the_next_folder(place: Path) -> None:
    """A folder lasts as long as its block."""
    with temporary.folder("work", place) as folder:
        assert names(place) == {"table.md", "mine.part", folder.name}
        (folder / "file").write_text("text")
    assert names(place) == {"table.md", "mine.part"}


def test_what_a_living_process_writes_stays(workspace: Path) -> None:
    """Also what a process of another machine writes into a shared folder: its number means nothing here."""
    own = temporary.part_of(workspace / "a.md")
    own.write_text("half")
    mark = own.name.removeprefix("a.md.")
    machine, rest = mark.split("-", 1)
    foreign = own.with_name(
        f"a.md.{'0' * 6 if machine != '0' * 6 else 'f' * 6}-{rest}".replace(f"-{os.getpid()}-", "-4194399-")
    )
    foreign.write_text("half")
    temporary.clear.cache_clear()
    atomic.write(workspace / "b.md", "text")
    assert names(workspace) >= {own.name, foreign.name, "b.md"}


def test_a_link_with_such_a_name_leads_to_nothing_that_is_removed(place: Path, workspace: Path) -> None:
    """The link goes, what it leads to stays."""
    (workspace / "precious").mkdir()
    (workspace / "precious" / "file").write_text("text")
    (left,) = [each for each in place.iterdir() if each.name.startswith("scratch.")]
    (left / "file").unlink()
    left.rmdir()
    left.symlink_to(workspace / "precious", target_is_directory=True)
    atomic.write(place / "other.md", "text")
    assert not left.is_symlink()
    assert (workspace / "precious" / "file").read_text() == "text"
