"""The contents of a store's rows: whether they are what mdnbench writes, which SQLite itself does not look at."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from mdnbench import jsonfile
from mdnbench.errors import StoreError
from mdnbench.records import Status
from mdnbench.store import strangers
from mdnbench.store.database import Store, open_store

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
PROVENANCE: dict[Any, Any] = {"revision": str, "packages": _VERSIONS, "weights": str, "weights_digest": str}


def faults(store: Store) -> Iterator[str]:
    """Rows that hold what mdnbench never writes, one line each: kinds of values, statuses, facts, cells of no run."""
    yield from orphans(store)
    found = [*_kinds(store), *_statuses(store), *_tables_in_json(store)]
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
        columns = list(store.select('SELECT name, type, "notnull" FROM pragma_table_info(?)', (table,)))
        known = [(name, _KINDS[kind] + ("" if needed else ", 'null'")) for name, kind, needed in columns]
        wrong = ", ".join(f"sum(typeof({name}) NOT IN ({kinds}))" for name, kinds in known)
        counts = next(store.select(f"SELECT {wrong} FROM {table}"))
        for (name, _), count in zip(known, counts, strict=True):
            if count:
                yield f"{count} rows of {table} have a {name} of the wrong kind."


def _statuses(store: Store) -> Iterator[str]:
    for table in ("outputs", "scores"):
        (count,) = next(store.select(f"SELECT count(*) FROM {table} WHERE status NOT IN ({_STATUSES})"))
        if count:
            yield f"{count} rows of {table} have a status that is none."


def _tables_in_json(store: Store) -> Iterator[str]:
    for name, text in store.select("SELECT name, facts FROM runs"):
        if wrong := _misshapen(text, FACTS):
            yield f"the facts of the run {name!r} are damaged: {wrong}."
    for number, text in store.select("SELECT id, content FROM provenances"):
        if wrong := _misshapen(text, PROVENANCE):
            yield f"the provenance {number} is damaged: {wrong}."
    for key, text in store.select("SELECT key, content FROM timings"):
        if wrong := _misshapen(text, {}):
            yield f"the timing {key!r} is damaged: {wrong}."


def _strangers(store: Store) -> Iterator[str]:
    """Cells under a noise, image or method that their run's facts do not name; asked where the facts are sound."""
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
