"""Store files: bytes altered, rows altered, cut short, random. Read, or refused in one line; never written to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from mdnbench import api

READERS = (
    ("list", "runs"), ("report", "done", "--to", "csv,md,latex", "--out", "report"), ("store", "check", "--json"),
    ("compare", "done", "--json"), ("store", "compact"), ("check", "done", "--baseline", "base"),
    ("plan", "--methods", "noisy", "--sigma", "50", "--dataset", "tiny", "--metrics", "psnr"),
)  # fmt: skip
VALUES = st.one_of(
    st.none(), st.text(max_size=8), st.binary(max_size=8), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False),
    st.sampled_from(["{}", "[]", '{"metrics": 1}', "ok", "failed", "[" * 5000, "\x1b[31m", "9" * 5000]),
)  # fmt: skip


@pytest.fixture
def base(stored: Path, workspace: Path) -> Path:
    """A baseline of the stored run."""
    results = api.open_run("done")
    stem = api.write_baseline(results, workspace / "base")
    results.store.close()
    return stem


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """What is done to a sound file: a few bytes altered, its end cut off, or all of it something else."""
    places = draw(
        st.lists(st.tuples(st.one_of(st.integers(0, 120), st.integers(0, 10**6)), st.integers(0, 255)), max_size=5)
    )
    kept = draw(st.one_of(st.just(1.0), st.just(1.0), st.just(1.0), st.floats(0, 1)))
    random = draw(st.one_of(st.just(b""), st.just(b""), st.just(b""), st.binary(min_size=1, max_size=50)))

    def damage(sound: bytes) -> bytes:
        content = bytearray(random or sound[: max(1, int(len(sound) * kept))])
        for place, byte in places:
            content[place % len(content)] = byte
        return bytes(content)

    return damage


def put(folder: Path, content: bytes) -> Path:
    """Write a store's file where none is open, without what SQLite left of an earlier one."""
    for path in folder.glob("results.sqlite-*"):
        path.unlink()
    (folder / "results.sqlite").write_bytes(content)
    return folder / "results.sqlite"


def rows_of(path: Path) -> list[str]:
    """All that a store holds, as SQLite writes it down."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        return list(connection.iterdump())


def test_altered_bytes(fuzz: Any, mdnbench: Any, tiny: Path, stored: Path, base: Path) -> None:
    """Refused with every byte as it was, or read with every row as it was."""
    sound, seen = (stored / "results.sqlite").read_bytes(), set()

    def check(damage: Callable[[bytes], bytes], command: tuple[str, ...]) -> None:
        path = put(stored, damage(sound))
        before = path.read_bytes()
        try:
            rows = rows_of(path)
        except sqlite3.Error:
            rows = []
        put(stored, before)
        said = mdnbench(*command)
        seen.add(said.code)
        if said.code == 3:
            assert path.read_bytes() == before
        elif rows:
            assert rows_of(path) == rows

    fuzz(check, 35, damage=damages(), command=st.sampled_from(READERS))
    assert {0, 3} <= seen


def test_altered_stores_that_are_merged(fuzz: Any, mdnbench: Any, stored: Path, workspace: Path) -> None:
    """The other store keeps every byte, and this one is sound afterwards, whatever came in."""
    sound, other = (stored / "results.sqlite").read_bytes(), workspace / "other"
    other.mkdir()

    def check(damage: Callable[[bytes], bytes]) -> None:
        path = put(other, damage(sound))
        before = path.read_bytes()
        put(stored, sound)
        said = mdnbench("store", "merge", "other")
        assert path.read_bytes() == before
        assert said.code in (0, 3)
        with closing(sqlite3.connect(stored / "results.sqlite")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []

    fuzz(check, 15, damage=damages())


def test_altered_rows(fuzz: Any, mdnbench: Any, tiny: Path, stored: Path, base: Path) -> None:
    """A file that SQLite finds sound, with a value in it that nobody wrote: any column of any table, of any kind."""
    sound = (stored / "results.sqlite").read_bytes()
    with closing(sqlite3.connect(stored / "results.sqlite")) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(each, row[1]) for each in tables for row in connection.execute(f"PRAGMA table_info({each})")]

    def check(where: tuple[str, str], value: Any, command: tuple[str, ...]) -> None:
        with closing(sqlite3.connect(put(stored, sound), isolation_level=None)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            try:
                connection.execute("UPDATE OR IGNORE {} SET {} = ?".format(*where), (value,))
            except sqlite3.Error:  # SQLite itself does not let it in
                return
        mdnbench(*command)

    fuzz(check, 40, where=st.sampled_from(columns), value=VALUES, command=st.sampled_from(READERS))
