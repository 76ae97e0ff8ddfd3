"""The check of a store: its file, its rows and its stored images.

SQLite itself does not check what rows contain. Here they are compared with what mdnbench writes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from mdnbench.errors import StoreError
from mdnbench.spec.records import Status
from mdnbench.spec.timings import TimingRecord
from mdnbench.store import manifests, schema, stored_images
from mdnbench.store.database import MORE, Store, open_store
from mdnbench.store.facts import Provenance, RunFacts
from mdnbench.store.rows import RunRow
from mdnbench.util import jsonfile, limits, slugs

_KINDS = {"TEXT": "'text'", "INTEGER": "'integer'", "REAL": "'real', 'integer'"}
_STATUSES = ", ".join(f"'{status}'" for status in get_args(Status))
_LARGEST = 2**63 - 1  # the largest integer of SQLite
_PROVENANCES = """
    SELECT id, content FROM provenances
    WHERE id IN (SELECT o.provenance FROM run_cells c JOIN outputs o ON o.id = c.output WHERE c.run = ?)
"""
_DAMAGED = "the store {} is damaged: the run {!r}: {}. {}"
_UNNAMED = """
    SELECT count(*) FROM run_cells WHERE run = ? AND (
        position < 0 OR position >= ? OR seed < 0 OR seed >= ?
        OR image_digest || image NOT IN (SELECT value FROM json_each(?))
        OR noise NOT IN (SELECT value FROM json_each(?))
        OR method NOT IN (SELECT value FROM json_each(?)))
"""
SHOWN = 20  # problems that SQLite finds in the file itself
_KEPT = "SELECT DISTINCT output_digest FROM outputs WHERE status = 'ok'"
_CELLS = "SELECT count(*) FROM run_cells c JOIN outputs o ON o.id = c.output WHERE c.run = ? AND ({})"
_SCORES = "SELECT count(*) FROM run_cells c JOIN scores s ON s.output = c.output WHERE c.run = ? AND ({})"


def faults(store: Store) -> Iterator[str]:
    """Yield a line for each kind of content that mdnbench never writes.

    It finds rows that refer to missing rows, values of a wrong type, unknown statuses, invalid run names, damaged
    facts, provenances, timings and manifests, and cells that the facts of their run do not name.
    """
    yield from orphans(store)
    found = [*_kinds(store), *_statuses(store)] or [*_texts(store)]
    yield from (f"{store.path}: {line}" for line in found or unnamed(store))


def orphans(store: Store) -> Iterator[str]:
    """Yield a line for each pair of tables with rows that refer to missing rows."""
    pairs = Counter((table, parent) for table, _, parent, _ in store.select("PRAGMA foreign_key_check"))
    for (table, parent), count in pairs.items():
        yield f"{store.path}: {count} rows of {table} refer to rows of {parent} that are not there."


def first_fault(path: Path) -> str:
    """Return why the store at `path` cannot be used, or '' if it is correct or does not exist."""
    if not path.is_file():
        return ""
    try:
        with open_store(path) as store:
            return next(faults(store), "")
    except StoreError as error:
        return str(error)


def _kinds(store: Store) -> Iterator[str]:
    """Yield a line for each column with values of another type. SQLite accepts values that it cannot convert."""
    for (table,) in list(store.select("SELECT name FROM sqlite_master WHERE type = 'table'")):
        known = _columns(store, table)
        wrong = ", ".join(f"sum(typeof({name}) NOT IN ({kinds}))" for name, kinds in known)
        counts = next(store.select(f"SELECT {wrong} FROM {table}"))
        for (name, _), count in zip(known, counts, strict=True):
            if count:
                yield f"{count} rows of {table} have a {name} of the wrong kind."


def _columns(store: Store, table: str) -> list[tuple[str, str]]:
    """Return the columns of a table, with the types that their values may have."""
    columns = list(store.select('SELECT name, type, "notnull" FROM pragma_table_info(?)', (table,)))
    return [(name, _KINDS[kind] + ("" if needed else ", 'null'")) for name, kind, needed in columns]


def _statuses(store: Store) -> Iterator[str]:
    for table in ("outputs", "scores"):
        (count,) = next(store.select(f"SELECT count(*) FROM {table} WHERE status NOT IN ({_STATUSES})"))
        if count:
            yield f"{count} rows of {table} have a status that is none."


def _texts(store: Store) -> Iterator[str]:
    """Yield a line for each invalid run name or JSON text. All values must have the right types already."""
    for name, planned, text in store.select("SELECT name, planned, facts FROM runs"):
        if not slugs.is_slug(name):
            yield f"the name of the run {name!r} is one that no run gets."
        elif wrong := _fault_in_facts(text, planned):
            yield f"the facts of the run {name!r} are damaged: {wrong}."
    for number, text in store.select("SELECT id, content FROM provenances"):
        if wrong := _misshapen(text, Provenance):
            yield f"the provenance {number} is damaged: {wrong}."
    for key, text in store.select("SELECT key, content FROM timings"):
        if wrong := _misshapen(text, TimingRecord):
            yield f"the timing {key!r} is damaged: {wrong}."
    for number, text in store.select("SELECT id, files FROM manifests"):
        try:
            manifests.decoded(text)
        except ValueError as error:
            yield f"the manifest {number} is damaged: {error}."


def require_valid(store: Store, run: RunRow) -> None:
    """Check the rows of a run before any number is computed from it: its facts, and the types of all its values.

    Each run is checked once while a store is open.

    Raises:
        StoreError: They have values that mdnbench never writes, such as a text instead of a number.
    """
    if run.id in store.checked:
        return
    require_facts(store, run)
    if wrong := [*_odd_rows(store, run.id)]:
        raise StoreError(_DAMAGED.format(store.path, run.name, wrong[0], MORE))
    store.checked.add(run.id)


def require_facts(store: Store, run: RunRow) -> None:
    """Check the numbers in the facts of a run.

    Raises:
        StoreError: A number is impossible.
    """
    if wrong := _absurd(run.facts, run.planned):
        raise StoreError(_DAMAGED.format(store.path, run.name, wrong, MORE))


def _odd_rows(store: Store, run: int) -> Iterator[str]:
    """Yield what is wrong with the rows that a run refers to: types of values, statuses, provenances."""
    cells = [*_odd(store, "c", "run_cells"), *_odd(store, "o", "outputs"), f"o.status NOT IN ({_STATUSES})"]
    scores = [*_odd(store, "s", "scores", ("status", "reason", "value")), f"s.status NOT IN ({_STATUSES})"]
    for query, conditions, what in ((_CELLS, cells, "cells"), (_SCORES, scores, "scores")):
        (count,) = next(store.select(query.format(" OR ".join(conditions)), (run,)))
        if count:
            yield f"{count} {what} hold a value of the wrong kind"
    for number, text in store.select(_PROVENANCES, (run,)):
        if wrong := _misshapen(text, Provenance):
            yield f"the provenance {number}: {wrong}"


def _odd(store: Store, alias: str, table: str, names: Collection[str] = ()) -> list[str]:
    """Return the SQL conditions for rows with a value of the wrong type, in these columns or in all."""
    columns = [(name, kinds) for name, kinds in _columns(store, table) if not names or name in names]
    return [f"typeof({alias}.{name}) NOT IN ({kinds})" for name, kinds in columns]


def _fault_in_facts(text: str, planned: int) -> str:
    try:
        facts = jsonfile.parse(text, RunFacts)
    except ValueError as error:
        return str(error)
    return _absurd(facts, planned)


def _absurd(facts: RunFacts, planned: int) -> str:
    """Return which number in the facts of a run is impossible, or ''. `planned` is the number of its cells."""
    cells = len(facts.noises) * len(facts.methods) * len(facts.images) * max(0, facts.seeds)
    if not 0 <= planned <= limits.MAX_CELLS or cells > limits.MAX_CELLS:
        return f"more than {limits.MAX_CELLS:,} cells are planned"
    for name, each in facts.metric_facts.items():
        if not 0 <= each.digits <= limits.MAX_DIGITS:
            return f"the metric {name!r} is described wrongly"
        if name not in facts.metrics or name not in facts.scored_as:
            return f"the metric {name!r} has no revision"
    return ""


def unnamed(store: Store) -> Iterator[str]:
    """Yield a line for each run with cells that its facts do not name. The facts must be correct already."""
    for identity, name, planned, facts in list(store.select("SELECT id, name, planned, facts FROM runs")):
        (count,) = next(store.select(_UNNAMED, _names_of(identity, planned, jsonfile.parse(facts, RunFacts))))
        if count:
            yield f"{count} cells of the run {name!r} are none that its facts name."


def _names_of(run: int, planned: int, facts: RunFacts) -> tuple[Any, ...]:
    """Return the values of the query's parameters for a run."""
    images = [digest + image for image, digest in facts.images.items()]
    names = (images, [*facts.noises], [*facts.methods])
    return run, planned, min(facts.seeds, _LARGEST), *map(json.dumps, names)


def _misshapen(text: str, kind: type) -> str:
    try:
        jsonfile.parse(text, kind)
    except ValueError as error:
        return str(error)
    return ""


@dataclass(frozen=True, slots=True)
class Health:
    """The result of a check.

    Attributes:
        outputs: The number of outputs.
        scores: The number of scores.
        runs: The number of runs.
        images: The number of stored images.
        without_image: The number of outputs without a stored image.
        problems: One line for each problem.
    """

    outputs: int
    scores: int
    runs: int
    images: int
    without_image: int
    problems: tuple[str, ...]


def check(store: Store) -> Health:
    """Check every page, row and stored image of a store.

    Raises:
        StoreError: The store cannot be read at all.
    """
    built = [*damage(store), *_differences(store)]  # first, because counting rows follows damaged pages in circles
    outputs, scores, runs = (_count(store, table) for table in ("outputs", "scores", "runs"))
    images = sorted(stored_images.files(store.images))
    whole = {path.stem for path in images if path.suffix == ".npy"}
    missing = sum(digest not in whole for (digest,) in store.select(_KEPT))
    rows = orphans(store) if built else faults(store)
    problems = (*built, *rows, *_altered(store, images))
    return Health(outputs, scores, runs, len(whole), missing, problems)


def _count(store: Store, table: str) -> int:
    # Not count(*), which SQLite computes in a single step that cannot be stopped.
    return int(next(store.select(f"SELECT coalesce(sum(1), 0) FROM {table}"))[0])


def damage(store: Store) -> Iterator[str]:
    """Yield a line for each fault that SQLite finds in the file itself."""
    for (line,) in store.select(f"PRAGMA integrity_check({SHOWN})"):
        if line != "ok":
            yield f"{store.path}: {line}"


def _differences(store: Store) -> Iterator[str]:
    """Yield a line for each table that differs from this schema."""
    for line in schema.differences(schema.parts_of(store.connection)):
        yield f"{store.path}: {line}"


def _altered(store: Store, images: list[Path]) -> Iterator[str]:
    for path in images:
        if path.suffix == ".part":
            yield f"{path}: was left behind half-written; `mdnbench store compact` removes it."
        elif not stored_images.is_digest(path.stem) or path != stored_images.path_of(store.images, path.stem):
            yield f"{path}: is none of ours."
        elif stored_images.load(store.images, path.stem) is None:
            yield f"{path}: its pixels are not those that its name says. Remove it."
