"""Checking, compacting and merging real stores, and opening those of earlier versions."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.errors import MdnbenchError, NothingToDo
from mdnbench.results import Results
from mdnbench.store import open_store, unused

Cli = Callable[..., subprocess.CompletedProcess[str]]

FICKLE = """
from pathlib import Path

def denoise(noisy, noise):
    if Path("out-of-luck").exists():
        raise OSError("no luck")
    return noisy.clone()

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("fickle", "1", "fickle", lambda options, device, weights: denoise)]
"""


def run(folder: str, out: str, **changes: Any) -> Results:
    """A small run in a workspace of this name."""
    keys: dict[str, Any] = {
        "methods": ["noisy"], "sigma": 50, "dataset": "sk12", "images": ["01", "02"], "metrics": ["psnr"],
        "timing": False, "jobs": 1, "out": out,
    }  # fmt: skip
    return api.run(workspace_folder=Path(folder), **keys | changes)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two workspaces whose runs have a cell in common: a fickle method fails in the first and works in the second."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "fickle.py").write_text("import mdnbench\n" + FICKLE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("out-of-luck").touch()
        run("first", "same", methods=["noisy", "fickle"], plugins=["fickle.py"]).store.close()
        Path("out-of-luck").unlink()
        run("second", "same", methods=["fickle"], plugins=["fickle.py"]).store.close()
        run("second", "other", images=["02", "04"], metrics=["psnr", "ssim"]).store.close()
    return folder


@pytest.fixture
def first(made: Path, workspace: Path) -> Path:
    """A copy of the first workspace, to be changed."""
    return Path(shutil.copytree(made / "first", workspace / ".mdnbench"))


@pytest.fixture
def sql(first: Path) -> Iterator[sqlite3.Connection]:
    """The first store's file, looked at and damaged from outside."""
    with closing(sqlite3.connect(first / "results.sqlite", isolation_level=None)) as connection:
        yield connection


def count(connection: sqlite3.Connection, table: str) -> int:
    """How many rows a table has."""
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# -- check ---------------------------------------------------------------------------------------------------------


def test_a_sound_store_has_no_problems(first: Path, cli: Cli) -> None:
    """What there is, nothing wrong with it, and exit code 0; JSON says the same."""
    found = api.check_store()
    assert (found.runs, found.outputs, found.scores, found.images, found.problems) == (1, 4, 2, 2, ())
    shown = cli("store", "check", "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["outputs"] == 4


def test_every_kind_of_damage_is_named(first: Path, sql: sqlite3.Connection, cli: Cli) -> None:
    """Rows that hang in the air, a foreign table, images that were altered, misnamed or half written: exit 4."""
    sql.execute("DELETE FROM provenances")
    sql.execute("CREATE TABLE photos (id INTEGER)")
    one, two = sorted((first / "images").rglob("*.npy"))
    content = bytearray(one.read_bytes())
    content[-1] ^= 1
    one.write_bytes(content)
    shutil.copy(two, two.with_name("holiday.npy"))
    two.with_name("left.part").write_bytes(b"half")
    found = api.check_store()
    assert len(found.problems) == 5
    text = "\n".join(found.problems)
    for part in (
        "4 rows of outputs refer to rows of provenances that are not there", "the table 'photos' is none of ours",
        f"{one}: its pixels are not those that its name says", "holiday.npy: is none of ours", "left.part: was left",
    ):  # fmt: skip
        assert part in text
    shown = cli("store", "check")
    assert shown.returncode == 4
    assert "5 problems" in shown.stdout.splitlines()[0]


def test_without_a_store_there_is_nothing_to_check(workspace: Path) -> None:
    """A message with the path and exit code 5; none is created."""
    with pytest.raises(NothingToDo, match="run something first"):
        api.check_store()
    assert not (workspace / ".mdnbench").exists()


# -- compact -------------------------------------------------------------------------------------------------------


def test_what_no_run_refers_to_is_removed(first: Path, sql: sqlite3.Connection, cli: Cli) -> None:
    """Shown first, removed with --yes: the outputs, scores and old images of a run that began anew with fewer cells."""
    run(".mdnbench", "same", images=["02"]).store.close()
    old, young = first / "images" / "ab" / "left.part", first / "images" / "ab" / "just-now.part"
    old.parent.mkdir(exist_ok=True)
    for path in (old, young):
        path.write_bytes(b"half")
    for path in (first / "images").rglob("*"):
        if path != young and path.is_file():
            os.utime(path, (time.time() - 7200, time.time() - 7200))
    shown = cli("store", "compact")
    assert "no run refers to 3 outputs and 2 images" in shown.stdout
    assert "nothing was removed yet; --yes does it" in shown.stdout
    assert (count(sql, "outputs"), old.exists()) == (4, True)
    done = cli("store", "compact", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"] == 3
    assert [count(sql, table) for table in ("outputs", "scores", "run_cells", "runs")] == [1, 1, 1, 1]
    assert sorted(path.suffix for path in (first / "images").rglob("*") if path.is_file()) == [".npy", ".part"]
    assert young.exists()
    assert api.check_store().problems == (
        f"{young}: was left behind half-written; `mdnbench store compact` removes it.",
    )
    again = run(".mdnbench", "same", images=["02"])
    assert again.tally is not None
    assert again.tally.cached == 1
    again.store.close()


def test_the_work_grows_with_what_is_there(workspace: Path) -> None:
    """Twice as many outputs and cells are about twice the work, by SQLite's own steps: no scan for every output."""

    def steps(many: int) -> int:
        store, ticks = open_store(workspace / f"{many}.sqlite"), []
        with closing(store.connection) as connection:
            with store.transaction():
                connection.execute("INSERT INTO provenances VALUES (1, '{}')")
                connection.execute("INSERT INTO runs VALUES (1, 'one', 'now', 'now', 1, '{}')")
                outputs = [(key, f"key {key}", 1) for key in range(3 * many)]
                connection.executemany(
                    "INSERT INTO outputs (id, key, case_key, method, status, provenance, created, base) "
                    "VALUES (?, ?, 'case', 'own', 'ok', ?, 'now', '')", outputs
                )  # fmt: skip
                cells = [(1, key, key) for key in range(3 * many) if key % 3]
                connection.executemany("INSERT INTO run_cells VALUES (?, ?, ?, 'own', '01', '', '', 0, '', '')", cells)
            connection.set_progress_handler(lambda: ticks.append(1), 100)
            unused.remove(store)
            assert connection.execute("SELECT count(*) FROM outputs").fetchone() == (2 * many,)
            assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'by_output'").fetchone() is None
        return len(ticks)

    assert steps(1000) < 3 * steps(500)


# -- merge ---------------------------------------------------------------------------------------------------------


def test_another_store_comes_in_once(first: Path, made: Path, sql: sqlite3.Connection, cli: Cli) -> None:
    """New cells and scores come in, failed ones are mended, a taken name gets a number; a second time nothing does."""
    before = (made / "second" / "results.sqlite").read_bytes()
    done = cli("store", "merge", made / "second", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["outputs"], found["images"], found["runs"]) == (3, 1, ["same-2", "other"])
    assert found["scores"] == 2 + 1 + 2  # fickle's two, `ssim` of the image both have, and both of the new image
    assert [count(sql, table) for table in ("outputs", "runs", "run_cells")] == [5, 3, 8]
    assert sql.execute("SELECT count(*) FROM outputs WHERE status <> 'ok'").fetchone() == (0,)
    assert api.check_store().problems == ()
    mended = api.open_run("same")
    assert mended.counts == {"ok": 4}
    assert api.open_run("same-2").counts == {"ok": 2}
    assert [row.value("ssim") is not None for row in api.open_run("other").rows()] == [True, True]
    again = json.loads(cli("store", "merge", made / "second" / "results.sqlite", "--json").stdout)
    assert again == {"schema": "mdnbench.store-merge/1", "outputs": 0, "scores": 0, "images": 0, "runs": []}
    assert (made / "second" / "results.sqlite").read_bytes() == before


def test_a_run_that_was_begun_again_is_still_the_same(made: Path, workspace: Path) -> None:
    """Merged once more after it was run again there, or gone on with, it is brought up to date, not here twice."""
    shutil.copytree(made / "second", workspace / "there")
    assert api.merge_store(workspace / "there", workspace_folder=workspace / "here").runs == ("same", "other")
    with closing(sqlite3.connect(workspace / "here" / "results.sqlite", isolation_level=None)) as here:
        here.execute("UPDATE runs SET finished = ''")  # as of one that was merged before it ended
        here.execute("DELETE FROM run_cells WHERE position > 0")
    again = run("there", "other", images=["02", "04"], metrics=["psnr", "ssim"])
    run("there", "another", images=["02", "04"], metrics=["psnr", "ssim"]).store.close()
    again.store.close()
    assert api.merge_store(workspace / "there", workspace_folder=workspace / "here").runs == ("another",)
    found = api.open_run("other", workspace_folder=workspace / "here")
    assert (found.run.created, found.run.finished) == (again.run.created, again.run.finished)
    assert found.counts == {"ok": 2}


def test_what_came_in_is_not_computed_again(made: Path, workspace: Path) -> None:
    """A run after a merge into an empty workspace finds every cell in the store."""
    api.merge_store(made / "second", workspace_folder=workspace / "fresh")
    results = run("fresh", "mine", images=["02", "04"], metrics=["psnr", "ssim"])
    assert results.tally is not None
    assert (results.tally.cached, results.tally.computed) == (2, 0)


def test_a_store_is_found_in_the_folder_that_a_run_was_started_in(first: Path, workspace: Path, made: Path) -> None:
    """The folder above `.mdnbench` is enough to say which store is meant."""
    shutil.copytree(made / "second", workspace / "elsewhere" / ".mdnbench")
    assert api.merge_store(workspace / "elsewhere").outputs == 3


READS = """
import os, sys
from pathlib import Path
import msgspec  # imported by the first text that is read, whose libraries may be closed to others too
from mdnbench.store import merging, open_store

with open_store(Path(sys.argv[2]) / "results.sqlite") as store:  # ours, while this still is whoever runs the tests
    if os.geteuid() == 0:
        os.setuid(65534)  # to whom no folder is open that is not
    print(merging.merge(store, Path(sys.argv[1])).outputs)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such folders")
def test_a_store_where_nothing_can_be_written_is_read(made: Path) -> None:
    """As on a disk of somebody else's, or a medium: SQLite would keep a file beside it."""
    with tempfile.TemporaryDirectory() as base:  # pytest's own folders are closed to others
        theirs, mine = Path(base, "theirs"), Path(base, "mine")
        theirs.mkdir()
        mine.mkdir()
        shutil.copy(made / "second" / "results.sqlite", theirs)
        for folder, mode in ((Path(base), 0o777), (mine, 0o777), (theirs, 0o555)):
            folder.chmod(mode)
        done = subprocess.run(
            [sys.executable, "-c", READS, str(theirs), str(mine)], capture_output=True, text=True, check=False
        )
        theirs.chmod(0o755)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


def test_a_file_without_leftovers_says_so(first: Path, cli: Cli) -> None:
    """Nothing to remove is told apart from nothing removed."""
    assert "there is nothing to remove" in cli("store", "compact").stdout


@pytest.mark.parametrize("kind", ["missing", "text", "newer", "foreign", "itself", "damaged", "rows"])
def test_what_is_no_store_is_not_merged(
    first: Path, made: Path, sql: sqlite3.Connection, workspace: Path, kind: str
) -> None:
    """The file is named, and neither store is changed."""
    other = workspace / "other" / "results.sqlite"
    other.parent.mkdir()
    if kind == "text":
        other.write_text("no store at all " * 100)
    elif kind == "itself":
        other = first / "results.sqlite"
    elif kind != "missing":
        shutil.copy(made / "second" / "results.sqlite", other)
        if kind == "damaged":
            content = other.read_bytes()
            other.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
        else:
            with closing(sqlite3.connect(other)) as connection:
                change = {"newer": "PRAGMA user_version = 99", "foreign": "PRAGMA application_id = 1"}
                connection.execute(change.get(kind, "UPDATE run_cells SET method = 'stranger'"))
                connection.commit()
    before = other.read_bytes() if other.exists() else b""
    with pytest.raises(MdnbenchError) as caught:
        api.merge_store(other)
    assert caught.value.exit_code == (2 if kind in ("missing", "itself") else 3)
    assert str(other) in str(caught.value)
    assert (other.read_bytes() if other.exists() else b"") == before
    assert [count(sql, table) for table in ("outputs", "scores", "runs")] == [4, 2, 1]
