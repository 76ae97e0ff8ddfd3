"""The health of a store: what SQLite finds wrong with the file, rows that hang in the air, images that were altered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mdnbench.store import contents, kept, schema
from mdnbench.store.database import Store

SHOWN = 20

_KEPT = "SELECT DISTINCT output_digest FROM outputs WHERE status = 'ok'"


@dataclass(frozen=True, slots=True)
class Health:
    """What a check found: how much there is, one line for each problem, and how many outputs have no kept image."""

    outputs: int
    scores: int
    runs: int
    images: int
    not_kept: int
    problems: tuple[str, ...]


def check(store: Store) -> Health:
    """Look at every page, row and kept image of a store; StoreError where it cannot be read at all."""
    built = [*damage(store), *_differences(store)]  # first: SQLite counts rows through pages that refer to each other
    outputs, scores, runs = (_count(store, table) for table in ("outputs", "scores", "runs"))
    images = sorted(kept.files(store.images))
    whole = {path.stem for path in images if path.suffix == ".npy"}
    missing = sum(digest not in whole for (digest,) in store.select(_KEPT))
    rows = contents.orphans(store) if built else contents.faults(store)
    problems = (*built, *rows, *_altered(store, images))
    return Health(outputs, scores, runs, len(whole), missing, problems)


def _count(store: Store, table: str) -> int:
    # Not count(*), which SQLite answers in one step that nothing can stop.
    return int(next(store.select(f"SELECT coalesce(sum(1), 0) FROM {table}"))[0])


def damage(store: Store) -> Iterator[str]:
    """What SQLite finds wrong with the file itself, one line each."""
    for (line,) in store.select(f"PRAGMA integrity_check({SHOWN})"):
        if line != "ok":
            yield f"{store.path}: {line}"


def _differences(store: Store) -> Iterator[str]:
    """Where the tables are not ours."""
    for line in schema.differences(schema.parts_of(store.connection)):
        yield f"{store.path}: {line}"


def _altered(store: Store, images: list[Path]) -> Iterator[str]:
    for path in images:
        if path.suffix == ".part":
            yield f"{path}: was left behind half-written; `mdnbench store compact` removes it."
        elif not kept.is_digest(path.stem) or path != kept.path_of(store.images, path.stem):
            yield f"{path}: is none of ours."
        elif kept.load(store.images, path.stem) is None:
            yield f"{path}: its pixels are not those that its name says. Remove it."
