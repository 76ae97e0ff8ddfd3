"""Places: each folder has its own run, whatever its name, and a name or a path leads to it again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.errors import StoreError
from mdnbench.results import Results
from mdnbench.util.listener import Listener


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """One line more."""
        self.notes.append(text)


def run(out: object, sigma: int, **more: Any) -> Results:
    """A small run under one level of noise."""
    return api.run(
        methods="noisy", sigma=sigma, dataset="sk12", images="01", metrics="psnr", timing=False, jobs=1, out=str(out),
        **more,
    )  # fmt: skip


def level(name: object) -> str:
    """The noise of the run that a name or a path leads to."""
    (table,) = api.open_run(str(name)).tables
    return table.caption


@pytest.fixture
def two(workspace: Path) -> tuple[Results, Results]:
    """Two runs in folders of one name."""
    return run("s50/run", 50), run("s5/run", 5)


def test_two_folders_of_one_name_are_two_runs(two: tuple[Results, Results]) -> None:
    """The first one has the folder's name, the second a digest behind it; each path leads to its own."""
    first, second = two
    assert first.name == "run"
    assert re.fullmatch(r"run-[0-9a-f]{8}", second.name)
    assert [level("s50/run"), level("s5/run")] == ["gaussian:sigma=50", "gaussian:sigma=5"]
    assert [level(first.name), level(second.name)] == ["gaussian:sigma=50", "gaussian:sigma=5"]


def test_a_folder_behind_a_link_leads_to_its_run(workspace: Path) -> None:
    """The way to the store is one from where the folder really is."""
    (workspace / "far" / "away").mkdir(parents=True)
    (workspace / "link").symlink_to(workspace / "far" / "away", target_is_directory=True)
    run("link/today", 50)
    assert [level("link/today"), level("far/away/today")] == ["gaussian:sigma=50"] * 2


def test_a_run_file_is_whole_or_the_former_one(two: tuple[Results, Results], monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full when run.json is written again leaves the one that was there."""
    found = two[0]

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:7])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(StoreError, match="No space left"):
            api.report(found, ["json"])
    assert level(found.name) == "gaussian:sigma=50"
    assert not list(found.folder.glob("*.part"))


def test_the_same_folder_has_the_same_run(two: tuple[Results, Results], workspace: Path) -> None:
    """Run again, each folder's run keeps its name, however the path is written, and whatever was removed of it."""
    first, second = two
    assert run(workspace / "s5" / ".." / "s5" / "run", 5).name == second.name
    (workspace / "s50/run/run.json").unlink()
    assert run("s50/run", 15).name == first.name
    assert [level("s50/run"), level("s5/run")] == ["gaussian:sigma=15", "gaussian:sigma=5"]


def test_a_name_leads_to_the_folder(two: tuple[Results, Results], workspace: Path) -> None:
    """A run that is opened by name knows the folder of its files, and so it does where all was moved together."""
    for found in two:
        assert api.open_run(found.name).folder == found.folder.resolve()
    moved = workspace / "moved"
    moved.mkdir()
    for name in (".mdnbench", "s50", "s5"):
        (workspace / name).rename(moved / name)
    for found in two:
        again = api.open_run(found.name, workspace_folder=moved / ".mdnbench")
        assert again.folder == (moved / found.folder).resolve()
        assert json.loads((again.folder / "run.json").read_text(encoding="utf-8"))["name"] == found.name


def test_a_plain_name_does_not_take_another_folders_run(two: tuple[Results, Results]) -> None:
    """`--out run` beside `--out s50/run` has a name and a folder of its own, the same every time, and says so."""
    heard = Heard()
    third, again = run("run", 25, listener=heard), run("run", 25)
    assert third.name == again.name
    assert third.name not in {found.name for found in two}
    assert any(f"this one is called {third.name!r}" in note for note in heard.notes)
    assert third.folder.name == third.name
    assert (third.folder / "table.md").is_file()
    assert [level("run"), level(third.name)] == ["gaussian:sigma=50", "gaussian:sigma=25"]


def test_a_name_is_found_as_it_was_said(workspace: Path) -> None:
    """What is no file name becomes one, and both lead to the run and its files."""
    made = run("run_1", 50)
    for name in ("run_1", "run-1"):
        assert api.open_run(name).folder.resolve() == made.folder.resolve()
    assert made.name == "run-1"
    (made.folder / "run.json").unlink()
    assert api.open_run("run_1").name == "run-1"


def test_a_folder_that_holds_no_run_is_no_run(workspace: Path) -> None:
    """A directory here that only has the run's name does not stand before the run."""
    made = run("first", 50)
    (workspace / "first").mkdir()
    assert api.open_run("first").folder.resolve() == made.folder.resolve()
    assert api.open_run("first").timing is None


def test_runs_whose_files_are_gone_keep_their_name(workspace: Path) -> None:
    """Where the folder of a named run was removed, the same command is the same run still."""
    made = run("first", 50)
    for path in made.folder.iterdir():
        path.unlink()
    assert run("first", 50).name == "first"
