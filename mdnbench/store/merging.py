"""Merging: the outputs, scores, runs and images of another store are added, without duplicates."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mdnbench.errors import StoreError, UsageError
from mdnbench.store import manifests, row_checks, schema, sqlite_files, stored_images, workspace
from mdnbench.store.database import DAMAGE, Store, open_store
from mdnbench.util import limits, temporary

_MANIFESTS = """
    INSERT INTO manifests (scope, token, created, files)
    SELECT theirs.scope, theirs.token, theirs.created, theirs.files FROM other.manifests theirs
    WHERE NOT EXISTS (SELECT 1 FROM main.manifests m WHERE m.scope = theirs.scope AND m.token = theirs.token
                      AND m.files = theirs.files)
"""
# A token is made from the first files of a manifest; more files are added later. So two stores can use one token for
# different code. The other store's manifests then get new tokens, and their outputs new keys, both in its copy.
_SAME_TOKEN = """
    SELECT theirs.id, theirs.scope, theirs.token, theirs.files FROM other.manifests theirs
    JOIN main.manifests mine ON mine.scope = theirs.scope AND mine.token = theirs.token AND mine.files <> theirs.files
"""
_PROVENANCES = "INSERT OR IGNORE INTO provenances (content) SELECT content FROM other.provenances"
# A failed output here gets the key of an ok output there, which then replaces it. A failure's code is not known.
_TAKEN_OVER = """
    UPDATE OR IGNORE main.outputs SET key = (
        SELECT o.key FROM other.outputs o WHERE o.base = main.outputs.base AND o.status = 'ok' ORDER BY o.id LIMIT 1)
    WHERE status <> 'ok' AND base IN (SELECT o.base FROM other.outputs o WHERE o.status = 'ok')
"""
# An ok output here stays. A failed output here is replaced by an ok one from there.
_OUTPUTS = """
    INSERT INTO outputs (key, case_key, method, status, reason, traceback, seconds, noisy_digest, output_digest,
                         provenance, created, base, manifest)
    SELECT o.key, o.case_key, o.method, o.status, o.reason, o.traceback, o.seconds, o.noisy_digest, o.output_digest,
           mine.id, o.created, o.base, (
               SELECT min(m.id) FROM other.manifests theirs JOIN main.manifests m
               ON m.scope = theirs.scope AND m.token = theirs.token AND m.files = theirs.files
               WHERE theirs.id = o.manifest)
    FROM other.outputs o
    JOIN other.provenances p ON p.id = o.provenance JOIN main.provenances mine ON mine.content = p.content
    WHERE true
    ON CONFLICT (key) DO UPDATE SET status = excluded.status, reason = excluded.reason, traceback = excluded.traceback,
        seconds = excluded.seconds, noisy_digest = excluded.noisy_digest, output_digest = excluded.output_digest,
        provenance = excluded.provenance, created = excluded.created, manifest = excluded.manifest
    WHERE outputs.status <> 'ok' AND excluded.status = 'ok'
"""
# Scores belong to an output's pixels. If the other store has other pixels for the same cell, its scores are not added.
_SCORES = """
    INSERT INTO scores (output, rule, metric, revision, status, reason, value)
    SELECT mine.id, s.rule, s.metric, s.revision, s.status, s.reason, s.value
    FROM other.scores s JOIN other.outputs o ON o.id = s.output
    JOIN main.outputs mine ON mine.key = o.key AND mine.output_digest = o.output_digest
    WHERE true
    ON CONFLICT (output, rule, metric, revision) DO UPDATE SET status = excluded.status, reason = excluded.reason,
        value = excluded.value
    WHERE scores.status <> 'ok' AND excluded.status = 'ok'
"""
# Cells that a run already has here stay. They are the same, because otherwise it would be a different run.
_CELLS = """
    INSERT OR IGNORE INTO
        run_cells (run, position, output, dataset, image, image_digest, noise, seed, noise_info, method)
    SELECT ?, c.position, mine.id, c.dataset, c.image, c.image_digest, c.noise, c.seed, c.noise_info, c.method
    FROM other.run_cells c JOIN other.outputs o ON o.id = c.output JOIN main.outputs mine ON mine.key = o.key
    WHERE c.run = ?
"""
_OTHER_CELL = """
    SELECT 1 FROM run_cells m JOIN outputs mine ON mine.id = m.output
    JOIN other.run_cells c ON c.position = m.position JOIN other.outputs o ON o.id = c.output
    WHERE m.run = ? AND c.run = ? AND mine.base <> o.base
    LIMIT 1
"""
_NO_ROOM = (
    "the store {} cannot be copied to {} ({}), where it is checked; make room there, or name another folder by the "
    "variable TMPDIR. Nothing was merged."
)
_NEWER = "UPDATE runs SET created = ?, finished = ? WHERE id = ? AND finished < ?"
_TIMINGS = "INSERT OR IGNORE INTO timings SELECT * FROM other.timings"


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of merging.

    Attributes:
        outputs: The number of new or replaced outputs.
        scores: The number of new or replaced scores.
        images: The number of new images.
        runs: The new runs, by the names that they have here.
    """

    outputs: int
    scores: int
    images: int
    runs: tuple[str, ...]


def merge(store: Store, path: Path) -> Merged:
    """Add another store to this one.

    The other store is only read, and is checked completely first. If an error occurs, only images may
    have been added.

    Args:
        store: The store to add to.
        path: The other store: its file, or a folder that contains it.

    Raises:
        StoreError: The other store has a schema or a row that mdnbench never writes, or cannot be read.
        UsageError: There is no other store at this path.
    """
    path = _file_of(path)
    if path.resolve() == store.path.resolve():
        raise UsageError(f"{path} is this store itself; name another one.")
    with _snapshot(path) as other:
        images = _copy_images(path.parent / "images", store)
        store.allow_writing(other)
        store.connection.execute("ATTACH ? AS other", (str(other),))
        try:
            with store.transaction():
                store.connection.execute(_PROVENANCES)
                _separate_manifests(store)
                store.connection.execute(_MANIFESTS)
                store.connection.execute(_TAKEN_OVER)
                outputs = store.connection.execute(_OUTPUTS).rowcount
                scores = store.connection.execute(_SCORES).rowcount
                runs = tuple(_copy_runs(store))
                store.connection.execute(_TIMINGS)
        finally:
            store.connection.execute("DETACH other")
    return Merged(outputs, scores, images, runs)


def _separate_manifests(store: Store) -> None:
    """Give a manifest of the other store a new token if its token stands for other files in this store.

    The keys of its outputs and scores follow. Call inside a transaction.
    """
    renamed: dict[tuple[str, str], str] = {}
    for number, scope, token, files in store.connection.execute(_SAME_TOKEN).fetchall():
        renamed[scope, token] = new = manifests.token_of(scope, files)
        store.connection.execute("UPDATE other.manifests SET token = ? WHERE id = ?", (new, number))
        outputs = store.connection.execute("SELECT id, base FROM other.outputs WHERE manifest = ?", (number,))
        keys = [(manifests.output_key(base, new), output) for output, base in outputs.fetchall()]
        store.connection.executemany("UPDATE other.outputs SET key = ? WHERE id = ?", keys)
    if renamed:
        _separate_scores(store, renamed)


def _separate_scores(store: Store, renamed: Mapping[tuple[str, str], str]) -> None:
    """Replace the old tokens of metrics in the other store's scores and in the facts of its runs.

    Args:
        store: This store, with the other one attached.
        renamed: The new token by scope and old token.
    """
    known = store.connection.execute("SELECT DISTINCT metric, revision FROM other.scores").fetchall()
    changed: dict[tuple[str, str], str] = {}
    for metric, scored_as in known:
        revision, _, token = scored_as.rpartition("+")
        new = renamed.get((manifests.metric_scope(metric, revision), token))
        if new:
            changed[metric, scored_as] = manifests.scored_as(revision, new)
    for (metric, old), new in changed.items():
        query = "UPDATE other.scores SET revision = ? WHERE metric = ? AND revision = ?"
        store.connection.execute(query, (new, metric, old))
    for run, text in store.connection.execute("SELECT id, facts FROM other.runs").fetchall():
        facts = json.loads(text)
        names = facts.get("scored_as", {})
        facts["scored_as"] = {name: changed.get((name, old), old) for name, old in names.items()}
        if facts["scored_as"] != names:
            store.connection.execute("UPDATE other.runs SET facts = ? WHERE id = ?", (json.dumps(facts), run))


def _file_of(path: Path) -> Path:
    """Return the file of a store, given the file, its workspace, or the folder that contains the workspace."""
    names = ("results.sqlite", f"{workspace.FOLDER}/results.sqlite")
    for found in (path, *(path / name for name in names)):
        if found.is_file():
            return found
    raise UsageError(f"there is no store in {path}; name a results.sqlite, or a folder that holds one.")


@contextmanager
def _snapshot(path: Path) -> Iterator[Path]:
    """Yield a copy of a store at one moment, whose rows are checked. The store itself is only read."""
    sqlite_files.require_files(path)
    with _scratch(path) as folder:
        copy = folder / "results.sqlite"
        try:
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{_mode(path)}", uri=True)) as there:
                _require_whole(there, path)
                _copy(there, copy, path)
            _require_valid(copy)
        except DAMAGE as error:
            raise StoreError(f"the store {path} cannot be read ({error}); nothing was merged.") from error
        except StoreError as error:
            raise StoreError(str(error).replace(str(copy), str(path))) from error
        yield copy


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    with ExitStack() as ends:
        try:
            folder = ends.enter_context(temporary.folder("mdnbench-merge"))
        except OSError as error:
            raise StoreError(_NO_ROOM.format(path, "a temporary folder", error.strerror or error)) from None
        yield folder


def _require_whole(there: sqlite3.Connection, path: Path) -> None:
    """Check the schema and pages of a store before it is copied, because a small file may claim to be huge."""
    steps = sqlite_files.settle(there)
    steps.allow(limits.WRITE_STEPS, path)
    schema.verify(there, str(path))
    if (found := there.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise StoreError(f"the store {path} is damaged ({found}); nothing was merged.")


def _copy(there: sqlite3.Connection, copy: Path, path: Path) -> None:
    with closing(sqlite3.connect(copy)) as here:
        try:
            there.backup(here)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise
            raise StoreError(_NO_ROOM.format(path, copy.parent.parent, error)) from error


def _mode(path: Path) -> str:
    """Return how to open a store for reading. If its folder is not writable, the file is opened as immutable."""
    journal = path.with_name(f"{path.name}-wal")
    left = journal.exists() and journal.stat().st_size > 0
    return "mode=ro" if left or os.access(path.parent, os.W_OK) else "mode=ro&immutable=1"


def _require_valid(copy: Path) -> None:
    """Raise StoreError if a copy has rows that mdnbench never writes, because they must not spread."""
    with open_store(copy) as store:
        if fault := next(row_checks.faults(store), ""):
            raise StoreError(f"{fault} Nothing was merged.")
        # Outputs are searched by their base. Without an index, all of them would be read for each failed output here.
        store.connection.execute("CREATE INDEX by_base ON outputs (base)")


def _copy_runs(store: Store) -> Iterator[str]:
    """Copy the runs that are not here yet. If another run has the name, a number is added to it.

    A run that is here, and was continued or restarted there, is updated.
    """
    rows = store.connection.execute("SELECT id, name, created, finished, planned, facts FROM other.runs ORDER BY id")
    for there, name, created, finished, planned, facts in rows.fetchall():
        here = _same_run(store, there, name, (planned, facts))
        if here is None:
            free = _free_name(store, name)
            here = store.connection.execute(
                "INSERT INTO runs (name, created, finished, planned, facts) VALUES (?, ?, ?, ?, ?)",
                (free, created, finished, planned, facts),
            ).lastrowid
            yield free
        else:
            store.connection.execute(_NEWER, (created, finished, here, finished))
        store.connection.execute(_CELLS, (here, there))


def _same_run(store: Store, there: int, name: str, defined: tuple[int, str]) -> int | None:
    """Return the id of the same run here: with the same name (or with a number), the same facts and no other cell."""
    found = store.connection.execute("SELECT id, name FROM runs WHERE planned = ? AND facts = ?", defined)
    for here, called in found.fetchall():
        named = re.fullmatch(rf"{re.escape(name)}(-\d+)?", called)
        if named and store.connection.execute(_OTHER_CELL, (here, there)).fetchone() is None:
            return int(here)
    return None


def _free_name(store: Store, name: str) -> str:
    taken = {row[0] for row in store.connection.execute("SELECT name FROM runs")}
    number, free = 2, name
    while free in taken:
        number, free = number + 1, f"{name}-{number}"
    return free


def _copy_images(folder: Path, store: Store) -> int:
    """Copy the stored images that are unaltered, and are missing or altered here. Return how many were copied."""
    copied = 0
    for path in sorted(stored_images.files(folder)):
        if path.suffix == ".npy" and stored_images.load(store.images, path.stem) is None:
            image = stored_images.load(folder, path.stem)
            if image is not None:
                stored_images.save(store.images, path.stem, image)
                copied += 1
    return copied
