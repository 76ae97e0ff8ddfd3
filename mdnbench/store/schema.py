"""The schema of the store and its version. A store of another version is refused.

A store may have an unknown origin. So before anything else is read, its schema is compared with this one: the same
tables, columns and indices in the same words, and nothing more.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from functools import cache
from typing import Any

from mdnbench.errors import StoreError
from mdnbench.util import limits

APPLICATION_ID = 0x6D646E62  # "mdnb"

VERSION = 4  # a store of another version is refused: versions 1 to 3 were never released
SCHEMA = """
    CREATE TABLE provenances (
        id INTEGER PRIMARY KEY,
        content TEXT NOT NULL UNIQUE
    );
    CREATE TABLE manifests (
        id INTEGER PRIMARY KEY,
        scope TEXT NOT NULL,
        token TEXT NOT NULL,
        created TEXT NOT NULL,
        files TEXT NOT NULL
    );
    CREATE INDEX manifests_by_scope ON manifests (scope);
    CREATE TABLE outputs (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        case_key TEXT NOT NULL,
        method TEXT NOT NULL,
        status TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        traceback TEXT NOT NULL DEFAULT '',
        seconds REAL,
        noisy_digest TEXT NOT NULL DEFAULT '',
        output_digest TEXT NOT NULL DEFAULT '',
        provenance INTEGER NOT NULL REFERENCES provenances (id),
        created TEXT NOT NULL,
        manifest INTEGER REFERENCES manifests (id),
        base TEXT NOT NULL
    );
    CREATE TABLE scores (
        output INTEGER NOT NULL REFERENCES outputs (id) ON DELETE CASCADE,
        rule TEXT NOT NULL,
        metric TEXT NOT NULL,
        revision TEXT NOT NULL,
        status TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        value REAL,
        PRIMARY KEY (output, rule, metric, revision)
    ) WITHOUT ROWID;
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created TEXT NOT NULL,
        finished TEXT NOT NULL DEFAULT '',
        planned INTEGER NOT NULL,
        facts TEXT NOT NULL
    );
    CREATE TABLE run_cells (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        output INTEGER NOT NULL REFERENCES outputs (id),
        dataset TEXT NOT NULL,
        image TEXT NOT NULL,
        image_digest TEXT NOT NULL,
        noise TEXT NOT NULL,
        seed INTEGER NOT NULL,
        noise_info TEXT NOT NULL,
        method TEXT NOT NULL,
        PRIMARY KEY (run, position)
    ) WITHOUT ROWID;
    CREATE TABLE timings (
        key TEXT PRIMARY KEY,
        created TEXT NOT NULL,
        content TEXT NOT NULL
    ) WITHOUT ROWID;
"""

# The rows of sqlite_master: (type, name, table, SQL), with spaces and line ends normalised.
Parts = list[tuple[Any, ...]]


def prepare(connection: sqlite3.Connection, where: str) -> None:
    """Create the tables in an empty file, and check those of a store.

    Raises:
        StoreError: The file is not a store, has another version, or has another schema.
    """
    if verify(connection, where):
        _create(connection)


def prepare_to_check(connection: sqlite3.Connection, where: str) -> None:
    """Prepare a store as `prepare` does, but accept additional tables. They are reported, and never read."""
    parts = _version_and_schema(connection, where)
    whole = all(part in parts for part in _expected())
    if not whole or any(_is_harmful(part) for part in parts if part not in _expected()):
        prepare(connection, where)


def verify(connection: sqlite3.Connection, where: str) -> bool:
    """Check the schema of a store without writing anything.

    Returns:
        Whether the file is empty.

    Raises:
        StoreError: The file is not a store, has another version, or has another schema.
    """
    parts = _version_and_schema(connection, where)
    if parts and (found := differences(parts)):
        raise StoreError(
            f"the store {where} cannot be used: {found[0]} It was not changed. Move it away, or restore it from a copy."
        )
    return not parts


def differences(parts: Parts) -> list[str]:
    """Return a line for each table, index, view or trigger in which a schema differs from this one."""
    expected, lines = _expected(), []
    for kind, name in dict.fromkeys(part[:2] for part in (*expected, *parts)):
        wanted = [part for part in expected if part[:2] == (kind, name)]
        found = [part for part in parts if part[:2] == (kind, name)]
        if found != wanted:
            state = "is missing" if not found else "differs from what mdnbench makes" if wanted else "is none of ours"
            lines.append(f"the {str(kind)[:40]} {str(name)[:100]!r} {state}.")
    return lines


def parts_of(connection: sqlite3.Connection) -> Parts:
    """Return the tables, indices, views and triggers of a file, sorted."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT ?"
    rows = connection.execute(query, (limits.MAX_SCHEMA_ROWS,)).fetchall()
    return sorted(((*row[:3], _plain(row[3])) for row in rows), key=repr)


def _plain(sql: object) -> object:
    return " ".join(sql.split()) if isinstance(sql, str) else sql


@cache
def _expected() -> Parts:
    """Return the schema as SQLite reports it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        _make_tables(model)
        return parts_of(model)


def _is_harmful(part: tuple[Any, ...]) -> bool:
    """Return whether an additional part could change what our queries do: anything but a plain table with its keys."""
    kind, name, table, sql = part
    ours = {each[1] for each in _expected()}
    if kind == "table":
        return name in ours or not str(sql).startswith("CREATE TABLE ")
    return kind != "index" or table in ours or sql is not None


def _version_and_schema(connection: sqlite3.Connection, where: str) -> Parts:
    """Return the schema of a file, read together with its version because another process may be writing.

    Raises:
        StoreError: The file is a store of another version, or not a store.
    """
    connection.execute("BEGIN")
    try:
        parts = parts_of(connection)
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    finally:
        roll_back(connection)
    if application != APPLICATION_ID and parts:
        raise StoreError(f"{where} is an SQLite file, but not one of mdnbench's; it is left alone. Choose another.")
    if version > VERSION:
        raise StoreError(
            f"the store {where} has schema {version}, newer than this mdnbench ({VERSION}); upgrade mdnbench."
        )
    if version < VERSION and (parts or version):
        raise StoreError(
            f"the store {where} has schema {version}, which no released mdnbench wrote (this one reads {VERSION}). It "
            "was not changed. Move it away, and run again."
        )
    return parts


def _make_tables(connection: sqlite3.Connection) -> None:
    for statement in filter(str.strip, SCHEMA.split(";")):
        connection.execute(statement)


def _create(connection: sqlite3.Connection) -> None:
    """Create the tables, all or none. Another process may have created them meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not parts_of(connection):
            _make_tables(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: sqlite3.Connection) -> None:
    """Undo a transaction, unless SQLite has done so itself, as on a full disk. Raise nothing."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
