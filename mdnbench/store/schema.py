"""The schema of the store, as numbered migrations. A store of version n is updated by running those after n.

A store may have an unknown origin. So before anything else is read, its schema is compared with that of its version:
the same tables, columns and indices in the same words, and nothing more.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from functools import lru_cache
from typing import Any

from mdnbench.errors import StoreError
from mdnbench.util import limits

APPLICATION_ID = 0x6D646E62  # "mdnb"

MIGRATIONS = (
    """
    CREATE TABLE provenances (
        id INTEGER PRIMARY KEY,
        content TEXT NOT NULL UNIQUE
    );
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
        created TEXT NOT NULL
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
        PRIMARY KEY (run, position)
    ) WITHOUT ROWID;
    CREATE TABLE timings (
        key TEXT PRIMARY KEY,
        created TEXT NOT NULL,
        content TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    # The name that a run gives a cell's method. Two names may share one output: `unet` and `unet[weights=gaussian]`.
    """
    ALTER TABLE run_cells ADD COLUMN method TEXT NOT NULL DEFAULT '';
    UPDATE run_cells SET method = (SELECT o.method FROM outputs o WHERE o.id = output);
    """,
    # The files behind results, and an output's key without its code. Outputs that were stored earlier have no manifest,
    # and no later run uses them.
    """
    CREATE TABLE manifests (
        id INTEGER PRIMARY KEY,
        scope TEXT NOT NULL,
        token TEXT NOT NULL,
        created TEXT NOT NULL,
        files TEXT NOT NULL
    );
    CREATE INDEX manifests_by_scope ON manifests (scope);
    ALTER TABLE outputs ADD COLUMN manifest INTEGER REFERENCES manifests (id);
    ALTER TABLE outputs ADD COLUMN base TEXT NOT NULL DEFAULT '';
    UPDATE outputs SET base = key;
    """,
)

VERSION = len(MIGRATIONS)


# The rows of sqlite_master: (type, name, table, SQL), with spaces and line ends normalised.
Parts = list[tuple[Any, ...]]


def prepare(connection: sqlite3.Connection, where: str) -> None:
    """Create the tables, or update an older store to this version.

    Raises:
        StoreError: The file is not a store, is newer, or has another schema than its version.
    """
    if verify(connection, where) < VERSION:
        _migrate(connection)


def prepare_to_check(connection: sqlite3.Connection, where: str) -> None:
    """Prepare a store as `prepare` does, but accept additional tables. They are reported, and never read."""
    version, parts = _looked_at(connection, where)
    expected = _expected(MIGRATIONS[:version])
    whole = version == VERSION and all(part in parts for part in expected)
    if not whole or any(_is_harmful(part) for part in parts if part not in expected):
        prepare(connection, where)


def verify(connection: sqlite3.Connection, where: str) -> int:
    """Check the schema of a store without writing anything.

    Returns:
        The version of the store; 0 for an empty file.

    Raises:
        StoreError: The file is not a store, is newer, or has another schema than its version.
    """
    version, parts = _looked_at(connection, where)
    if found := differences(parts, version):
        raise StoreError(
            f"the store {where} cannot be used: {found[0]} It was not changed. Move it away, or restore it from a copy."
        )
    return version


def differences(parts: Parts, version: int) -> list[str]:
    """Return how a schema differs from that of a version, one line for each table, index, view or trigger."""
    expected, lines = _expected(MIGRATIONS[:version]), []
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


@lru_cache(maxsize=16)
def _expected(steps: tuple[str, ...]) -> Parts:
    """Return the schema that these migrations create."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        _run(model, steps)
        return parts_of(model)


def _is_harmful(part: tuple[Any, ...]) -> bool:
    """Return whether an additional part could change what our queries do: anything but a plain table with its keys."""
    kind, name, table, sql = part
    ours = {each[1] for each in _expected(MIGRATIONS)}
    if kind == "table":
        return name in ours or not str(sql).startswith("CREATE TABLE ")
    return kind != "index" or table in ours or sql is not None


def _looked_at(connection: sqlite3.Connection, where: str) -> tuple[int, Parts]:
    """Return the version and the schema, read together because another process may be writing.

    Raises:
        StoreError: The file is a newer store, or not a store.
    """
    connection.execute("BEGIN")
    try:
        parts = parts_of(connection)
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    finally:
        roll_back(connection)
    if version > VERSION:
        raise StoreError(
            f"the store {where} has schema {version}, newer than this mdnbench ({VERSION}); upgrade mdnbench."
        )
    if application != APPLICATION_ID and parts:
        raise StoreError(f"{where} is an SQLite file, but not one of mdnbench's; it is left alone. Choose another.")
    return max(0, version), parts


def _run(connection: sqlite3.Connection, steps: tuple[str, ...]) -> None:
    for migration in steps:
        for statement in migration.split(";"):
            if statement.strip():
                connection.execute(statement)


def _migrate(connection: sqlite3.Connection) -> None:
    """Run the missing migrations, all or none. Another process may have run them meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        _run(connection, MIGRATIONS[version:])
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
