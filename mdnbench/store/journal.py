"""The journal of a store's file: a write-ahead log, or a rollback journal if the file system does not support that.

With a write-ahead log, others can read while a run writes. But its processes share memory through a file next to the
store, which some network file systems do not support.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from mdnbench.store import schema
from mdnbench.util import temporary
from mdnbench.util.limits import STORE_BUSY_S

NOTE = (
    "the file system of {} carries no write-ahead log; the store uses a rollback journal instead, which is safe but "
    "slower: put the workspace on a local disk if you can."
)
_SHARED_MEMORY_ERRORS = {
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_READONLY,
}  # fmt: skip


def choose(connection: sqlite3.Connection, folder: Path) -> bool:
    """Give the store a write-ahead log if its folder supports one. Return whether it has one now."""
    wal = _mode(connection) == "wal" or (_carries(folder) and _turned(connection))
    # With a rollback journal, a power failure after a commit that is not flushed to disk may damage the file.
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if wal else 'FULL'}")
    return wal


def may_lack_shared_memory(error: sqlite3.OperationalError) -> bool:
    """Return whether a store may have failed to open for lack of shared memory.

    This happens if it has a write-ahead log, and is on a file system that does not support one.
    """
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _SHARED_MEMORY_ERRORS


def prepare_alone(connection: sqlite3.Connection, where: str) -> None:
    """Prepare such a store for a rollback journal.

    A process with exclusive access to the file needs no shared memory.
    """
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    schema.prepare(connection, where)
    _mode(connection, "DELETE")
    connection.execute("PRAGMA locking_mode = NORMAL")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the next access releases the lock


def _carries(folder: Path) -> bool:
    """Return whether files in this folder can have a write-ahead log, by trying it on a separate file.

    It is not tried on the store itself, because a store with a log that does not work blocks other processes.
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
    """Give the file a write-ahead log. Return whether it has one.

    When other processes have just opened the new file and do the same, SQLite reports at once that it is locked,
    whatever its timeout. So this waits until one of them has finished.
    """
    end = time.monotonic() + STORE_BUSY_S
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
