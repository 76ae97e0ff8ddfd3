"""Store files: bytes altered, rows altered, cut short, random. Read, or refused in one line; never written to."""

from __future__ import annotations

import json
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
        except (sqlite3.Error, UnicodeDecodeError):  # column names are decoded without the text factory
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


def test_altered_rows_that_are_merged(fuzz: Any, mdnbench: Any, stored: Path, workspace: Path) -> None:
    """Whatever value is in the other store, none that nobody wrote comes into this one."""
    sound, other = (stored / "results.sqlite").read_bytes(), workspace / "other"
    other.mkdir()
    with closing(sqlite3.connect(stored / "results.sqlite")) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(each, row[1]) for each in tables for row in connection.execute(f"PRAGMA table_info({each})")]

    def check(where: tuple[str, str], value: Any) -> None:
        with closing(sqlite3.connect(put(other, sound), isolation_level=None)) as connection:
            try:
                connection.execute("UPDATE OR IGNORE {} SET {} = ?".format(*where), (value,))
            except sqlite3.Error:  # SQLite itself does not let it in
                return
        put(stored, sound)
        assert mdnbench("store", "merge", "other").code in (0, 3)
        assert mdnbench("store", "check").code == 0

    fuzz(check, 40, where=st.sampled_from(columns), value=VALUES)


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner))


def places_in(value: Any, path: str = "$") -> list[str]:
    """Every place in a JSON value, as SQLite writes it."""
    inner: dict[str, Any] = {}
    if isinstance(value, dict):
        inner = {f'{path}."{key}"': each for key, each in value.items()}
    elif isinstance(value, list):
        inner = {f"{path}[{index}]": each for index, each in enumerate(value)}
    return [path, *(place for below, each in inner.items() for place in places_in(each, below))]


def test_altered_facts(fuzz: Any, mdnbench: Any, tiny: Path, stored: Path, base: Path) -> None:
    """A run's facts, a provenance or a manifest with one value that nobody wrote, however deep inside."""
    sound = (stored / "results.sqlite").read_bytes()
    texts = ("runs", "facts"), ("provenances", "content"), ("manifests", "files")
    places = []
    with closing(sqlite3.connect(stored / "results.sqlite")) as connection:
        for table, column in texts:
            (text,) = connection.execute(f"SELECT {column} FROM {table}").fetchone()
            places += [(table, column, place) for place in places_in(json.loads(text))]

    def check(where: tuple[str, str, str], value: Any, command: tuple[str, ...]) -> None:
        table, column, place = where
        with closing(sqlite3.connect(put(stored, sound), isolation_level=None)) as connection:
            query = f"UPDATE OR IGNORE {table} SET {column} = json_set({column}, ?, json(?))"
            try:
                connection.execute(query, (place, json.dumps(value)))
            except sqlite3.Error:  # NaN, which is no JSON to SQLite
                return
        mdnbench(*command)

    fuzz(check, 60, where=st.sampled_from(places), value=JSON, command=st.sampled_from(READERS))
