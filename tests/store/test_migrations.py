"""Migrations: a store of an earlier version is brought up by real steps, all or none, however they are interrupted."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mdnbench import api
from mdnbench.errors import StoreError
from mdnbench.store import open_store, schema

FIXTURES = Path(__file__).parent / "fixtures"
Grow = Callable[..., None]
NOW = schema.VERSION  # the further steps of these tests come after it

# What a later version may well do: a new table, a column that rows get a value for, and an index.
SECOND = """
    CREATE TABLE tags (run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE, tag TEXT NOT NULL);
    ALTER TABLE runs ADD COLUMN machine TEXT NOT NULL DEFAULT '';
    UPDATE runs SET machine = json_extract(facts, '$.environment.machine_id');
    CREATE INDEX outputs_by_method ON outputs (method)
"""
THIRD = "INSERT INTO tags SELECT id, 'early' FROM runs"
HALF_WAY = "CREATE TABLE tags (run INTEGER); INSERT INTO nowhere VALUES (1)"
# Minutes of work inside the transaction, after its first changes: the moment at which the process is killed.
ENDLESS = """
    CREATE TABLE tags (run INTEGER);
    UPDATE runs SET name = 'spoilt';
    INSERT INTO tags WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200000000)
        SELECT x FROM n
"""
OPENER = """
import sys
from pathlib import Path
from mdnbench.store import open_store, schema
schema.MIGRATIONS = (*schema.MIGRATIONS, sys.argv[2])
schema.VERSION = len(schema.MIGRATIONS)
print("begun", flush=True)
open_store(Path(sys.argv[1]))
"""


@pytest.fixture
def path(workspace: Path) -> Path:
    """A store as version 1 wrote it, in this workspace."""
    found = workspace / ".mdnbench" / "results.sqlite"
    found.parent.mkdir()
    with closing(sqlite3.connect(found)) as connection:
        connection.executescript((FIXTURES / "v1.sql").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def grow(monkeypatch: pytest.MonkeyPatch) -> Grow:
    """`grow(step, …)`: from now on this mdnbench has these further steps, and none that an earlier call brought."""
    real = schema.MIGRATIONS

    def more(*steps: str) -> None:
        monkeypatch.setattr(schema, "MIGRATIONS", (*real, *steps))
        monkeypatch.setattr(schema, "VERSION", NOW + len(steps))

    return more


def held(path: Path) -> list[str]:
    """All that a store holds, its version first."""
    with closing(sqlite3.connect(path)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        return [f"version {version}", *connection.iterdump()]


def test_every_cell_of_a_first_store_gets_its_methods_name(path: Path) -> None:
    """Version 2 keeps the method's name with a run's cells; those of version 1 take it from their outputs."""
    store = open_store(path)
    assert next(store.select("PRAGMA user_version"))[0] >= 2
    rows = list(store.select("SELECT c.method, o.method FROM run_cells c JOIN outputs o ON o.id = c.output"))
    store.close()
    assert len(rows) == 6
    assert all(mine == computed for mine, computed in rows)
    assert {mine for mine, _ in rows} == {"noisy", "median", "unlucky"}


def test_a_further_step_brings_an_older_store_up(path: Path, grow: Grow) -> None:
    """Table, column, index and values of the new version are there, and all that the store held before."""
    before = {name: open_run_psnr(path, name) for name in ("noisy", "median")}
    grow(SECOND)
    store = open_store(path)
    assert next(store.select("PRAGMA user_version"))[0] == NOW + 1
    assert list(store.select("SELECT name, machine FROM runs")) == [("early", "000000000000")]
    assert list(store.select("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")) == [
        ("manifests_by_scope",), ("outputs_by_method",),
    ]  # fmt: skip
    store.close()
    assert {name: open_run_psnr(path, name) for name in before} == before
    assert api.check_store().problems == ()


def open_run_psnr(path: Path, method: str) -> float | None:
    """The mean of a method in the fixture's run."""
    results = api.open_run("early", workspace_folder=path.parent)
    (found,) = [row.means["psnr"] for row in results.means if row.method == method]
    results.store.close()
    return found


def test_steps_are_done_in_their_order_and_once(path: Path, grow: Grow) -> None:
    """From version 1 by two further steps at once, or one by one, is the same; opening it again does nothing more."""
    copy = path.with_name("copy.sqlite")
    copy.write_bytes(path.read_bytes())
    grow(SECOND, THIRD)
    for _ in range(2):
        open_store(path).close()
    grow(SECOND)
    open_store(copy).close()
    grow(SECOND, THIRD)
    open_store(copy).close()
    assert held(copy) == held(path)
    assert f"version {NOW + 2}" in held(path)
    assert sum("'early'" in line and "tags" in line for line in held(path)) == 1


def test_a_new_store_has_all_steps_at_once(workspace: Path, path: Path, grow: Grow) -> None:
    """One made from nothing has the schema of one that was brought up."""
    grow(SECOND, THIRD)
    open_store(path).close()
    open_store(workspace / "new.sqlite").close()

    def tables(file: Path) -> list[str]:
        return sorted(line for line in held(file) if line.startswith("CREATE"))

    assert [line.split("(")[0] for line in tables(workspace / "new.sqlite")] == [
        line.split("(")[0] for line in tables(path)
    ]


def test_a_step_that_fails_leaves_the_old_store(path: Path, grow: Grow) -> None:
    """Its error has the path; the file is of the old version, whole, and the old mdnbench goes on with it."""
    before = held(path)
    grow(HALF_WAY)
    with pytest.raises(StoreError, match="cannot be used") as caught:
        open_store(path)
    assert str(path) in str(caught.value)
    assert held(path) == before
    grow()
    assert api.open_run("early").counts == {"ok": 4, "failed": 2}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_kill_in_the_midst_of_a_step_leaves_the_old_store(path: Path) -> None:
    """`kill -9` when the first changes are made and not committed: all is as before, and the step can be done again."""
    before = held(path)
    for moment in (0.3, 1.0):
        opener = subprocess.Popen([sys.executable, "-c", OPENER, str(path), ENDLESS], stdout=subprocess.PIPE, text=True)
        assert opener.stdout
        assert opener.stdout.readline() == "begun\n"
        wait_until_locked(path)
        time.sleep(moment)
        assert opener.poll() is None
        os.kill(opener.pid, signal.SIGKILL)
        opener.communicate()
        assert held(path) == before
    assert api.open_run("early").counts == {"ok": 4, "failed": 2}


def wait_until_locked(path: Path) -> None:
    """Wait until another process is writing."""
    start = time.monotonic()
    while time.monotonic() - start < 60:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return
            connection.execute("ROLLBACK")
        time.sleep(0.02)
    raise AssertionError("nobody began to write")


def test_two_that_open_an_older_store_at_once_bring_it_up_once(path: Path) -> None:
    """The second waits for the first, and finds its work done."""
    openers = [
        subprocess.Popen([sys.executable, "-c", OPENER, str(path), SECOND], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [(opener.communicate(timeout=60)[0], opener.returncode) for opener in openers] == [("begun\n", 0)] * 4
    assert held(path)[0] == f"version {NOW + 1}"


def test_a_newer_store_is_refused_by_every_command(path: Path, grow: Grow, cli: Callable[..., object]) -> None:
    """Brought up by a later mdnbench, it is refused by this one in one line, and stays as it is."""
    grow(SECOND)
    open_store(path).close()
    before = path.read_bytes()
    for command in (("list", "runs"), ("store", "check"), ("report", "early"), ("store", "compact", "--yes")):
        said = cli(*command)
        assert said.returncode == 3  # type: ignore[attr-defined]
        (line,) = said.stderr.splitlines()  # type: ignore[attr-defined]
        assert f"{path} has schema {NOW + 1}, newer than this mdnbench ({NOW}); upgrade mdnbench." in line
        assert path.read_bytes() == before
