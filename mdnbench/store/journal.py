"""How the store's file is journalled: by a write-ahead log, or by a rollback journal where that cannot be.

A write-ahead log lets others read while a run writes, but its processes share memory through a file beside the store,
which some network file systems do not carry.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from mdnbench.store import schema
from mdnbench.util import temporary

BUSY_S = 60.0  # of waiting for other processes
NOTE = (
    "the file system of {} carries no write-ahead log; the store uses a rollback journal instead, which is safe but "
    "slower: put the workspace on a local disk if you can."
)
_SHARED_MEMORY_ERRORS = {
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_READONLY,
}  # fmt: skip


def choose(connection: sqlite3.Connection, folder: Path) -> bool:
    """Give the store a write-ahead log where its folder carries one; whether it has one now."""
    wal = _mode(connection) == "wal" or (_carries(folder) and _turned(connection))
    # With a rollback journal, a commit that is not flushed to disk may break the file when the power fails.
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if wal else 'FULL'}")
    return wal


def may_lack_shared_memory(error: sqlite3.OperationalError) -> bool:
    """Whether this is how a store fails to open that has a write-ahead log on a file system that carries none."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _SHARED_MEMORY_ERRORS


def prepare_alone(connection: sqlite3.Connection, where: str) -> None:
    """Prepare such a store for a rollback journal; a process that has the file for itself needs no shared memory."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    schema.prepare(connection, where)
    _mode(connection, "DELETE")
    connection.execute("PRAGMA locking_mode = NORMAL")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the lock goes with the next access


def _carries(folder: Path) -> bool:
    """Whether files in this folder can have a write-ahead log, tried on a file of its own.

    Not on the store: a file that says it has a log where there can be none would stop the others that use it.
    """
    with suppress(sqlite3.Error, OSError), temporary.folder(".trial", folder) as trial:
        path = trial / "trial.sqlite"
        with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(path)) as other:
            if _mode(one, "WAL") != "wal":
                return False
            one.execute("CREATE TABLE trial (number INTEGER)")
            other.execute("INSERT INTO trial VALUES (1)")
            other.commit()
            return bool(one.execute("SELECT count(*) FROM trial").fetchone()[0])
    return False


def _turned(connection: sqlite3.Connection) -> bool:
    """Give the file a write-ahead log; whether it has one.

    Where other processes that have just opened the new file want the same, SQLite says at once that it is locked,
    whatever its timeout: so wait here until one of them has done it.
    """
    end = time.monotonic() + BUSY_S
    while True:
        try:
            return _mode(connection, "WAL") == "wal"
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(0.01)


def _mode(connection: sqlite3.Connection, wanted: str = "") -> str:
    query = f"PRAGMA journal_mode = {wanted}" if wanted else "PRAGMA journal_mode"
    return str(connection.execute(query).fetchone()[0])
