"""What the tests of received stores share: a store that somebody else made, and the command line in this process."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mdnbench.results import Results


@pytest.fixture
def said(mdnbench: Callable[..., Any]) -> Callable[..., Any]:
    """`said("store", "check")` runs a command in this process: no traceback, and one line where it is refused."""

    def run(*arguments: object) -> Any:
        found = mdnbench(*arguments)
        assert "Traceback" not in found.err, found.err
        if found.code in (2, 3):
            assert len(found.err.splitlines()) == 1, found.err
        return found

    return run


@pytest.fixture
def stored(finished: Results, workspace: Path) -> Path:
    """Give this workspace's folder, with a copy of a store that holds a finished run, `done`, of eight cells."""
    folder = Path(shutil.copytree(finished.store.images, workspace / ".mdnbench" / "images")).parent
    with closing(sqlite3.connect(folder / "results.sqlite")) as copy:
        finished.store.connection.backup(copy)
    return folder


@pytest.fixture
def other(stored: Path, workspace: Path) -> Path:
    """The folder of the same store, as somebody else has sent it."""
    return Path(shutil.copytree(stored, workspace / "other"))


@pytest.fixture
def alter() -> Callable[..., None]:
    """`alter(folder, sql, …)` changes a store's file by SQLite alone, which writes what it is told."""

    def change(folder: Path, script: str, *values: object) -> None:
        with closing(sqlite3.connect(folder / "results.sqlite", isolation_level=None)) as connection:
            for setting in ("legacy_alter_table", "writable_schema", "ignore_check_constraints"):
                connection.execute(f"PRAGMA {setting} = ON")
            if values:
                connection.execute(script, values)
            else:
                connection.executescript(script)

    return change


@pytest.fixture
def files() -> Callable[[Path], dict[str, str]]:
    """`files(folder)` gives every file below it with its digest, but for those that SQLite keeps while it is open."""

    def look(folder: Path) -> dict[str, str]:
        found = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}

    return look


@pytest.fixture
def around(files: Callable[[Path], dict[str, str]]) -> Callable[[Path], tuple[dict[str, str], list[str]]]:
    """`around(stored)` gives the files of the workspace, and what stands beside the workspace."""
    return lambda stored: (files(stored.parent), sorted(each.name for each in stored.parents[1].iterdir()))
