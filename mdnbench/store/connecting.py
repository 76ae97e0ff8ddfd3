"""Connections to a store's file, which may come from anyone: what SQLite may do with it, and for how long."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mdnbench.errors import StoreError
from mdnbench.util import limits

COMPANIONS = ("-wal", "-shm", "-journal")  # the files that SQLite keeps next to a database, by the end of their names
_EVERY = 100_000  # steps between two looks at the budget
_JOURNAL_END = bytes.fromhex("d9d505f920a163d7")  # with which a journal ends that names a further file
_SETTINGS = (
    "PRAGMA trusted_schema = OFF",  # the schema can call no function that does more than compute
    "PRAGMA cell_size_check = ON",  # a damaged page is noticed when it is read
    "PRAGMA foreign_keys = ON",
)


class Steps:
    """The steps that SQLite may still take for a connection; what runs out of them ends with an error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._left = limits.READ_STEPS
        connection.set_progress_handler(self._take, _EVERY)

    def allow(self, steps: int, *paths: Path) -> None:
        """Allow at least so many steps from now on, and more for the bytes of these files and their journals."""
        size = sum(_size(file) for path in paths for file in (path, path.with_name(f"{path.name}-wal")))
        self._left = max(self._left, steps + limits.STEPS_PER_BYTE * size)

    def limit(self) -> None:
        """End what a transaction was allowed: from now on only so many steps as a query needs."""
        self._left = min(self._left, limits.READ_STEPS)

    def _take(self) -> bool:
        self._left -= _EVERY
        return self._left < 0


def settle(connection: sqlite3.Connection) -> Steps:
    """Make a new connection safe for a file of unknown origin, before anything is read from it.

    Extensions are never loaded: Python's own default.
    """
    steps = Steps(connection)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.MAX_STORED_TEXT_BYTES)
    for setting in _SETTINGS:
        connection.execute(setting)
    return steps


def require_files(path: Path) -> None:
    """Check that a store and the files next to it that belong to it are ordinary files, or not there.

    Opening a pipe would wait for ever, and SQLite would write through a link, or remove a file that a journal names.

    Raises StoreError with the file that is something else.
    """
    files = list(_files(path))
    for file in files:
        with suppress(FileNotFoundError, NotADirectoryError):
            if not stat.S_ISREG(file.lstat().st_mode):
                raise StoreError(f"the store {path} cannot be used: {file} is not an ordinary file. Move it away.")
    if _names_another_file(files[-1]):
        raise StoreError(
            f"the store {path} cannot be used: the journal {files[-1]} names a further file, as no journal of "
            "mdnbench's does. Move it away."
        )


def _files(path: Path) -> Iterator[Path]:
    """Yield the file and its companions, which SQLite keeps where the file really is."""
    try:
        place = path.resolve()
        folder = path.parent.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreError(f"the store {path} cannot be used: {error}.") from None
    if place.parent != folder:
        raise StoreError(
            f"the store {path} cannot be used: it is a link to {place}, in another folder. Remove the link; a link to "
            "the whole folder is allowed."
        )
    yield place
    yield from (place.with_name(f"{place.name}{ending}") for ending in COMPANIONS)


def _names_another_file(journal: Path) -> bool:
    try:
        with journal.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(_JOURNAL_END)))
            return file.read() == _JOURNAL_END
    except FileNotFoundError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
