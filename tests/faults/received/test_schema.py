"""A received store whose tables, views, triggers, columns or indices are none that mdnbench makes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mdnbench.store import open_store
from mdnbench.util import limits

pytestmark = pytest.mark.timeout(180)

ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
CHANGES = {
    "a view in a table's place": "ALTER TABLE outputs RENAME TO hidden; CREATE VIEW outputs AS SELECT * FROM hidden",
    "a view that never ends": f"DROP TABLE timings; CREATE VIEW timings (key) AS {ENDLESS}",
    "a view more": f"CREATE VIEW more AS {ENDLESS}",
    "a trigger": "CREATE TRIGGER once AFTER INSERT ON scores BEGIN DELETE FROM runs; END",
    "a trigger on a view": "CREATE VIEW v AS SELECT 1; CREATE TRIGGER t INSTEAD OF INSERT ON v BEGIN SELECT 1; END",
    "a column more": "ALTER TABLE runs ADD COLUMN extra TEXT",
    "a generated column": "ALTER TABLE runs ADD COLUMN extra TEXT GENERATED ALWAYS AS (upper(name)) VIRTUAL",
    "a column less": "ALTER TABLE scores DROP COLUMN reason",
    "a table more": "CREATE TABLE more (id INTEGER)",
    "a table less": "DROP TABLE timings",
    "an index more": "CREATE INDEX more ON runs (upper(name))",
    "an index less": "DROP INDEX manifests_by_scope",
    "statistics": "ANALYZE",
    "a virtual table": "CREATE VIRTUAL TABLE more USING rtree (id, low, high)",
    "another type": "UPDATE sqlite_master SET sql = replace(sql, 'value REAL', 'value BLOB') WHERE name = 'scores'",
    "a constraint": (
        "UPDATE sqlite_master SET sql = replace(sql, 'value REAL', 'value REAL CHECK (value < 5)') "
        "WHERE name = 'scores'"
    ),
    "a default": "UPDATE sqlite_master SET sql = replace(sql, 'DEFAULT ''''', 'DEFAULT ''x''') WHERE name = 'runs'",
    "another version's number": "PRAGMA user_version = 2",
    "no version at all": "PRAGMA user_version = 0",
    "a negative version": "PRAGMA user_version = -1",
}  # fmt: skip
READERS = (("report", "done"), ("compare", "done"), ("claims", "done"), ("store", "compact", "--yes"), ("list", "runs"))


@pytest.mark.parametrize("commands", [READERS[-1:], pytest.param(READERS, marks=pytest.mark.full)], ids=["one", "all"])
@pytest.mark.parametrize("what", CHANGES)
def test_fault_55_a_received_store_of_another_schema(
    said: Any, stored: Path, other: Path, alter: Any, files: Any, what: str, commands: Any
) -> None:
    """It is refused by its own path, whatever it is given to, before any query; neither store is changed."""
    alter(other, CHANGES[what])
    before = files(stored.parent)
    merged = said("store", "merge", "other")
    assert merged.code == 3
    assert str(other / "results.sqlite").removeprefix(f"{stored.parent}/") in merged.err
    assert files(stored.parent) == before
    (other / "results.sqlite").replace(stored / "results.sqlite")
    before = files(stored)
    for command in commands:
        found = said(*command)
        assert (found.code, str(stored / "results.sqlite") in found.err) == (3, True), found
        assert files(stored) == before
    assert said("store", "check").code in (3, 4)
    assert files(stored) == before


def test_sqlite_is_told_to_trust_nothing(stored: Path) -> None:
    """No functions from the schema, no extensions, no texts of a hundred megabytes, checks of each page."""
    with open_store(stored / "results.sqlite") as store:
        assert list(store.select("PRAGMA trusted_schema")) == [(0,)]
        assert list(store.select("PRAGMA cell_size_check")) == [(1,)]
        with pytest.raises(sqlite3.Error):
            store.connection.execute("SELECT load_extension('nothing')")
        with pytest.raises(sqlite3.DataError):
            store.connection.execute("SELECT zeroblob(100000000)")


def _interior(child: int, cells: int = 200, size: int = 4096) -> bytes:
    """A page of a table's tree whose children are all one page."""
    page = bytearray(size)
    start = size - 5 * cells
    page[0:12] = bytes([5, 0, 0]) + cells.to_bytes(2) + start.to_bytes(2) + bytes([0]) + child.to_bytes(4)
    for cell in range(cells):
        place = start + 5 * cell
        page[12 + 2 * cell : 14 + 2 * cell] = place.to_bytes(2)
        page[place : place + 5] = child.to_bytes(4) + bytes([min(cell + 1, 127)])
    return bytes(page)


@pytest.mark.parametrize("steps", [20_000_000, pytest.param(limits.WRITE_STEPS, marks=pytest.mark.full)])
def test_fault_55_pages_that_are_gone_through_for_ever(
    said: Callable[..., Any], stored: Path, other: Path, alter: Any, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """A table of a few kilobytes with more rows than there are atoms: every command gives it up in seconds."""
    monkeypatch.setattr(limits, "WRITE_STEPS", steps)
    alter(other, "PRAGMA journal_mode = DELETE")
    path = other / "results.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'outputs'").fetchone()
    content = bytearray(path.read_bytes())
    assert int.from_bytes(content[16:18]) == 4096
    first, deep = len(content) // 4096 + 1, 16
    leaf = bytes(content[(root - 1) * 4096 : root * 4096])
    assert leaf[0] in (5, 13)
    for level in range(deep):
        content += _interior(first + level + 1)
    content += leaf
    content[(root - 1) * 4096 : root * 4096] = _interior(first)
    content[28:32] = (first + deep).to_bytes(4)
    path.write_bytes(content)
    assert said("store", "merge", "other").code == 3
    path.replace(stored / "results.sqlite")
    found = said("store", "check")
    assert (found.code, str(stored / "results.sqlite") in found.err) == (3, True), found
    for command in (("store", "compact"), ("store", "compact", "--yes"), ("report", "done")):
        assert said(*command).code in (0, 3)
