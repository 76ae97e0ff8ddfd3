"""The journal: a write-ahead log where the file system carries one, a rollback journal elsewhere, and never a loss."""

from __future__ import annotations

import functools
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from made_records import FACTS

from mdnbench import api
from mdnbench.store import open_store, schema
from mdnbench.util.listener import Listener

posix = pytest.mark.skipif(os.name == "nt", reason="SQLite's driver without shared memory is for POSIX systems")
plain_connect = sqlite3.connect


@pytest.fixture
def no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite by its own driver for file systems that carry neither shared memory nor locks."""

    @functools.wraps(plain_connect)
    def connect(path: Path, *arguments: Any, **keywords: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = plain_connect(f"file:{path}?vfs=unix-dotfile", *arguments, uri=True, **keywords)
        return made

    monkeypatch.setattr(sqlite3, "connect", connect)


def mode(path: Path) -> str:
    """The journal that a store's file says it has."""
    connection = plain_connect(path)
    try:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    finally:
        connection.close()


def test_a_local_disk_carries_a_write_ahead_log(workspace: Path) -> None:
    """The usual case: a log, nothing to say about it, and no file of the trial left behind."""
    store = open_store(workspace / "s" / "results.sqlite")
    assert (store.wal, store.note) == (True, "")
    store.close()
    assert [path.name for path in (workspace / "s").iterdir()] == ["results.sqlite"]
    assert mode(store.path) == "wal"


@posix
def test_without_shared_memory_a_run_works_and_says_so_once(workspace: Path, no_shared_memory: None) -> None:
    """A run on such a file system is complete, repeats from the store, and tells once why it is slower."""
    notes: list[str] = []

    class Notes(Listener):
        def note(self, text: str) -> None:
            notes.append(text)

    keys: dict[str, Any] = {
        "methods": ["noisy"], "sigma": 50, "dataset": "sk12", "images": ["01"], "metrics": ["psnr"], "timing": False,
    }  # fmt: skip
    for computed in (1, 0):
        results = api.run(listener=Notes(), **keys)
        assert results.tally is not None
        assert (results.tally.computed, results.counts) == (computed, {"ok": 1})
        assert not results.store.wal
        results.store.close()
    assert [note for note in notes if "carries no write-ahead log" in note] == notes
    assert len(notes) == 2
    assert mode(workspace / ".mdnbench" / "results.sqlite") == "delete"


@posix
def test_a_store_that_comes_from_elsewhere_loses_nothing(workspace: Path, request: pytest.FixtureRequest) -> None:
    """A store whose log is not empty is brought to a file system without shared memory: all is there."""
    path = workspace / "results.sqlite"
    first = open_store(path)
    first.start_run("early", 1, FACTS)
    copy = workspace / "copy.sqlite"
    for ending in ("", "-wal"):
        Path(f"{copy}{ending}").write_bytes(Path(f"{path}{ending}").read_bytes())
    first.close()
    assert Path(f"{copy}-wal").stat().st_size
    request.getfixturevalue("no_shared_memory")
    moved = open_store(copy)
    assert (moved.wal, moved.run_names()) == (False, ["early"])
    moved.start_run("late", 1, FACTS)
    moved.close()
    again = open_store(copy)
    assert again.run_names() == ["late", "early"]
    again.close()
    assert mode(copy) == "delete"


def test_a_new_store_is_waited_for_while_another_process_writes_to_it(workspace: Path) -> None:
    """Between its creation and its write-ahead log another process may write: SQLite itself does not wait then."""
    path = workspace / "results.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        schema.prepare(other, str(path))
        other.execute("BEGIN IMMEDIATE")
        done = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
        done.start()
        found = open_store(path)
        assert found.wal
        found.close()
        done.join()
