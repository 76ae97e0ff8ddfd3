"""Connections to a store's file of possibly unknown origin: they limit what SQLite may do with it, and for how long."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mdnbench.errors import StoreError
from mdnbench.util import limits

COMPANIONS = ("-wal", "-shm", "-journal")  # endings of the files that SQLite creates next to a database
_EVERY = 100_000  # steps between two checks of the limit
_JOURNAL_END = bytes.fromhex("d9d505f920a163d7")  # the end of a journal that names another file
_SETTINGS = (
    "PRAGMA trusted_schema = OFF",  # the schema may only call functions that compute
    "PRAGMA cell_size_check = ON",  # damaged pages are noticed when they are read
    "PRAGMA foreign_keys = ON",
)


class Steps:
    """The limit on SQLite's steps for a connection. A statement that exceeds it ends with an error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._left = limits.READ_STEPS
        connection.set_progress_handler(self._take, _EVERY)

    def allow(self, steps: int, *paths: Path) -> None:
        """Raise the limit.

        Args:
            steps: The number of steps to allow from now on.
            *paths: Files that are read; more steps are allowed for each byte of these files and their journals.
        """
        size = sum(_size(file) for path in paths for file in (path, path.with_name(f"{path.name}-wal")))
        self._left = max(self._left, steps + limits.STEPS_PER_BYTE * size)

    def limit(self) -> None:
        """Lower the limit to that of a query, at the end of a transaction."""
        self._left = min(self._left, limits.READ_STEPS)

    def _take(self) -> bool:
        self._left -= _EVERY
        return self._left < 0


def settle(connection: sqlite3.Connection) -> Steps:
    """Make a new connection safe for a file of unknown origin, before anything is read from it.

    Extensions are never loaded, which is Python's default.

    Returns:
        The limit on the connection's steps.
    """
    steps = Steps(connection)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.MAX_STORED_TEXT_BYTES)
    for setting in _SETTINGS:
        connection.execute(setting)
    return steps


def require_files(path: Path) -> None:
    """Check that a store, and the files next to it that belong to it, are ordinary files or do not exist.

    Opening a pipe would wait for ever. SQLite would write through a link, and remove a file that a journal names.

    Raises:
        StoreError: One of the files is something else.
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
    """Yield the file and its companions. SQLite creates these in the folder of the file itself, not of a link."""
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
