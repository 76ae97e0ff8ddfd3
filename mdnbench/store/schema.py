"""The store's schema, as numbered migrations: a store of version n is brought up by running those after n."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from mdnbench.errors import StoreError

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
    # A run's own name of each cell's method: two names may lead to one output, as `unet` and `unet[weights=gaussian]`.
    """
    ALTER TABLE run_cells ADD COLUMN method TEXT NOT NULL DEFAULT '';
    UPDATE run_cells SET method = (SELECT o.method FROM outputs o WHERE o.id = output);
    """,
    # The files behind results, and an output's key without its code. An output that was stored before has no manifest,
    # and answers for no later run.
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


def prepare(connection: sqlite3.Connection, where: str) -> None:
    """Create the tables, or bring an older store up to this version; StoreError for what is not ours or is newer."""
    version, application, tables = _state(connection)
    if version > VERSION:
        raise StoreError(
            f"the store {where} has schema {version}, newer than this mdnbench ({VERSION}); upgrade mdnbench."
        )
    if application != APPLICATION_ID and tables:
        raise StoreError(f"{where} is an SQLite file, but not one of mdnbench's; it is left alone. Choose another.")
    if version < VERSION:
        _migrate(connection, version)


def _state(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Schema version, application id and number of tables, read together: another process may be creating them."""
    connection.execute("BEGIN")
    try:
        tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        return version, int(connection.execute("PRAGMA application_id").fetchone()[0]), tables
    finally:
        roll_back(connection)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Run the migrations that are still missing, all or none; another process may have been faster."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        for migration in MIGRATIONS[version:]:
            for statement in migration.split(";"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction without a trace, unless SQLite has done so by itself, as on a full disk; it raises nothing."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
