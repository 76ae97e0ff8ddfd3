"""The check of a store's rows: whether they have values that mdnbench writes. SQLite itself does not check this."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from mdnbench.errors import StoreError
from mdnbench.spec.records import Status
from mdnbench.store import manifests, strangers
from mdnbench.store.database import MORE, Store, open_store
from mdnbench.store.rows import RunRow
from mdnbench.util import jsonfile, limits, slugs

_KINDS = {"TEXT": "'text'", "INTEGER": "'integer'", "REAL": "'real', 'integer'"}
_STATUSES = ", ".join(f"'{status}'" for status in get_args(Status))

_VERSIONS: dict[Any, Any] = {str: str}
FACTS: dict[Any, Any] = {
    "dataset": str, "dataset_digest": str, "dataset_folder": str, "images": {str: str}, "protocol": str,
    "protocol_hash": str, "rules": {"version": int, "input": {}, "scoring": {}}, "scoring_rule": str,
    "metrics": {str: str},
    "metric_facts": {
        str: {"direction": str, "unit": str, "digits": int, "tolerance": jsonfile.NUMBER, "packages": _VERSIONS}
    },
    "unavailable": {str: str}, "seeds": int, "noise_info": str, "noises": {str: str},
    "methods": {str: {"revision": str, "packages": _VERSIONS}}, "device": str, "notes": [str],
    "environment": {"mdnbench": str, "cpu": str, "packages": _VERSIONS},
}  # fmt: skip
TIMING: dict[Any, Any] = {"benchmarks": [{}]}
_PROVENANCES = """
    SELECT id, content FROM provenances
    WHERE id IN (SELECT o.provenance FROM run_cells c JOIN outputs o ON o.id = c.output WHERE c.run = ?)
"""
_DAMAGED = "the store {} is damaged: the run {!r}: {}. {}"
_CELLS = "SELECT count(*) FROM run_cells c JOIN outputs o ON o.id = c.output WHERE c.run = ? AND ({})"
_SCORES = "SELECT count(*) FROM run_cells c JOIN scores s ON s.output = c.output WHERE c.run = ? AND ({})"
PROVENANCE: dict[Any, Any] = {"revision": str, "packages": _VERSIONS, "weights": str, "weights_digest": str}


def faults(store: Store) -> Iterator[str]:
    """Yield a line for each kind of value that mdnbench never writes.

    It checks types of values, statuses, facts, and cells that belong to no run.
    """
    yield from orphans(store)
    found = [*_kinds(store), *_statuses(store)] or [*_texts(store)]
    yield from (f"{store.path}: {line}" for line in found or _strangers(store))


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
        if wrong := _misshapen(text, PROVENANCE):
            yield f"the provenance {number} is damaged: {wrong}."
    for key, text in store.select("SELECT key, content FROM timings"):
        if wrong := _misshapen(text, TIMING):
            yield f"the timing {key!r} is damaged: {wrong}."
    for number, text in store.select("SELECT id, files FROM manifests"):
        try:
            manifests.decoded(text)
        except ValueError as error:
            yield f"the manifest {number} is damaged: {error}."


def require_sound(store: Store, run: RunRow) -> None:
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
    """Check the facts of a run.

    Raises:
        StoreError: They are not facts that mdnbench writes.
    """
    if wrong := _fault_in_those_there(run.facts, FACTS) or _absurd(run.facts, run.planned):
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
        if wrong := _misshapen(text, {}) or _fault_in_those_there(json.loads(text), PROVENANCE):
            yield f"the provenance {number}: {wrong}"


def _odd(store: Store, alias: str, table: str, names: Collection[str] = ()) -> list[str]:
    """Return the SQL conditions for rows with a value of the wrong type, in these columns or in all."""
    columns = [(name, kinds) for name, kinds in _columns(store, table) if not names or name in names]
    return [f"typeof({alias}.{name}) NOT IN ({kinds})" for name, kinds in columns]


def _fault_in_facts(text: str, planned: int) -> str:
    try:
        facts = jsonfile.parse(text, FACTS)
    except ValueError as error:
        return str(error)
    return _absurd(facts, planned)


def _fault_in_those_there(value: Any, shape: Any) -> str:
    """Return what is wrong with a value, apart from missing keys. A reader that needs a missing key reports it."""
    return jsonfile.fault(value, _of_those_there(value, shape))


def _of_those_there(value: Any, shape: Any) -> Any:
    """Return the expected shape of a JSON value, without the keys that the value does not have."""
    if not (isinstance(value, Mapping) and isinstance(shape, dict)):
        return shape
    if str in shape:
        return {key: _of_those_there(each, shape[str]) for key, each in value.items()}
    return {key: _of_those_there(value[key], each) for key, each in shape.items() if key in value}


def _absurd(facts: Mapping[str, Any], planned: int) -> str:
    """Return which number or word in the facts of a run is impossible, or ''. `planned` is the number of its cells."""
    axes = [len(facts.get(axis, ())) for axis in ("noises", "methods", "images")]
    if not 0 <= planned <= limits.MAX_CELLS or math.prod(axes) * max(0, facts.get("seeds", 0)) > limits.MAX_CELLS:
        return f"more than {limits.MAX_CELLS:,} cells are planned"
    for name, each in facts.get("metric_facts", {}).items():
        shown = 0 <= each.get("digits", 0) <= limits.MAX_DIGITS
        if not shown or each.get("direction", "higher") not in ("higher", "lower"):
            return f"the metric {name!r} is described wrongly"
        if name not in facts.get("metrics", ()):
            return f"the metric {name!r} has no revision"
    return ""


def _strangers(store: Store) -> Iterator[str]:
    """Yield a line for each run with cells that its facts do not name. The facts must be correct already."""
    for identity, name, planned, facts in list(store.select("SELECT id, name, planned, facts FROM runs")):
        (count,) = next(store.select(strangers.COUNT, strangers.values(identity, planned, json.loads(facts))))
        if count:
            yield f"{count} cells of the run {name!r} are none that its facts name; running it again removes them."


def _misshapen(text: str, shape: Any) -> str:
    try:
        jsonfile.parse(text, shape)
    except ValueError as error:
        return str(error)
    return ""
