"""The contents of a store's rows: whether they are what mdnbench writes, which SQLite itself does not look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import get_args

from mdnbench.errors import StoreError
from mdnbench.spec.records import Status
from mdnbench.spec.timings import TimingRecord
from mdnbench.store import manifests, strangers
from mdnbench.store.database import MORE, Store, open_store
from mdnbench.store.facts import Provenance, RunFacts
from mdnbench.store.rows import RunRow
from mdnbench.util import jsonfile, limits, slugs

_KINDS = {"TEXT": "'text'", "INTEGER": "'integer'", "REAL": "'real', 'integer'"}
_STATUSES = ", ".join(f"'{status}'" for status in get_args(Status))

_PROVENANCES = """
    SELECT id, content FROM provenances
    WHERE id IN (SELECT o.provenance FROM run_cells c JOIN outputs o ON o.id = c.output WHERE c.run = ?)
"""
_DAMAGED = "the store {} is damaged: the run {!r}: {}. {}"
_CELLS = "SELECT count(*) FROM run_cells c JOIN outputs o ON o.id = c.output WHERE c.run = ? AND ({})"
_SCORES = "SELECT count(*) FROM run_cells c JOIN scores s ON s.output = c.output WHERE c.run = ? AND ({})"


def faults(store: Store) -> Iterator[str]:
    """Rows that hold what mdnbench never writes, one line each: kinds of values, statuses, facts, cells of no run."""
    yield from orphans(store)
    found = [*_kinds(store), *_statuses(store)] or [*_texts(store)]
    yield from (f"{store.path}: {line}" for line in found or _strangers(store))


def orphans(store: Store) -> Iterator[str]:
    """Rows that refer to others that are not there, one line for each pair of tables."""
    pairs = Counter((table, parent) for table, _, parent, _ in store.select("PRAGMA foreign_key_check"))
    for (table, parent), count in pairs.items():
        yield f"{store.path}: {count} rows of {table} refer to rows of {parent} that are not there."


def first_fault(path: Path) -> str:
    """Why the store at `path` cannot be worked with, or nothing: there is none, or its contents are sound."""
    if not path.is_file():
        return ""
    try:
        with open_store(path) as store:
            return next(faults(store), "")
    except StoreError as error:
        return str(error)


def _kinds(store: Store) -> Iterator[str]:
    """Values of another kind than their column's, which SQLite lets in where they cannot be converted."""
    for (table,) in list(store.select("SELECT name FROM sqlite_master WHERE type = 'table'")):
        known = _columns(store, table)
        wrong = ", ".join(f"sum(typeof({name}) NOT IN ({kinds}))" for name, kinds in known)
        counts = next(store.select(f"SELECT {wrong} FROM {table}"))
        for (name, _), count in zip(known, counts, strict=True):
            if count:
                yield f"{count} rows of {table} have a {name} of the wrong kind."


def _columns(store: Store, table: str) -> list[tuple[str, str]]:
    """Each column of a table with the kinds that its values may have."""
    columns = list(store.select('SELECT name, type, "notnull" FROM pragma_table_info(?)', (table,)))
    return [(name, _KINDS[kind] + ("" if needed else ", 'null'")) for name, kind, needed in columns]


def _statuses(store: Store) -> Iterator[str]:
    for table in ("outputs", "scores"):
        (count,) = next(store.select(f"SELECT count(*) FROM {table} WHERE status NOT IN ({_STATUSES})"))
        if count:
            yield f"{count} rows of {table} have a status that is none."


def _texts(store: Store) -> Iterator[str]:
    """Names that no run gets, and texts that are not the JSON that they should be; asked where all are texts."""
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


def require_sound(store: Store, run: RunRow) -> None:
    """Check what is read of a run before any number is made of it: its facts, and the kinds of all its values.

    Each run is checked once for an open store.

    Raises StoreError where they hold what mdnbench never writes, such as a text where a number belongs.
    """
    if run.id in store.checked:
        return
    require_facts(store, run)
    if wrong := [*_odd_rows(store, run.id)]:
        raise StoreError(_DAMAGED.format(store.path, run.name, wrong[0], MORE))
    store.checked.add(run.id)


def require_facts(store: Store, run: RunRow) -> None:
    """Check the numbers in the facts of a run; StoreError if one cannot be."""
    if wrong := _absurd(run.facts, run.planned):
        raise StoreError(_DAMAGED.format(store.path, run.name, wrong, MORE))


def _odd_rows(store: Store, run: int) -> Iterator[str]:
    """What is wrong with the rows that a run refers to: values of another kind, statuses that are none, provenances."""
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
    """Return the conditions under which a row has a value of the wrong kind, in these columns or in all."""
    columns = [(name, kinds) for name, kinds in _columns(store, table) if not names or name in names]
    return [f"typeof({alias}.{name}) NOT IN ({kinds})" for name, kinds in columns]


def _fault_in_facts(text: str, planned: int) -> str:
    try:
        facts = jsonfile.parse(text, RunFacts)
    except ValueError as error:
        return str(error)
    return _absurd(facts, planned)


def _absurd(facts: RunFacts, planned: int) -> str:
    """Return which number in the facts of a run of so many planned cells cannot be, '' if all can."""
    cells = len(facts.noises) * len(facts.methods) * len(facts.images) * max(0, facts.seeds)
    if not 0 <= planned <= limits.MAX_CELLS or cells > limits.MAX_CELLS:
        return f"more than {limits.MAX_CELLS:,} cells are planned"
    for name, each in facts.metric_facts.items():
        if not 0 <= each.digits <= limits.MAX_DIGITS:
            return f"the metric {name!r} is described wrongly"
        if name not in facts.metrics or name not in facts.scored_as:
            return f"the metric {name!r} has no revision"
    return ""


def _strangers(store: Store) -> Iterator[str]:
    """Cells under a noise, image or method that their run's facts do not name; asked where the facts are sound."""
    for identity, name, planned, facts in list(store.select("SELECT id, name, planned, facts FROM runs")):
        (count,) = next(
            store.select(strangers.COUNT, strangers.values(identity, planned, jsonfile.parse(facts, RunFacts)))
        )
        if count:
            yield f"{count} cells of the run {name!r} are none that its facts name; running it again removes them."


def _misshapen(text: str, kind: type) -> str:
    try:
        jsonfile.parse(text, kind)
    except ValueError as error:
        return str(error)
    return ""
