"""The integrity of a store: the file as SQLite checks it, rows without a run or parent, and altered images."""

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
    """The result of a check.

    Attributes:
        outputs: The number of outputs.
        scores: The number of scores.
        runs: The number of runs.
        images: The number of stored images.
        not_kept: The number of outputs without a stored image.
        problems: One line for each problem.
    """

    outputs: int
    scores: int
    runs: int
    images: int
    not_kept: int
    problems: tuple[str, ...]


def check(store: Store) -> Health:
    """Check every page, row and stored image of a store.

    Raises:
        StoreError: The store cannot be read at all.
    """
    built = [*damage(store), *_differences(store)]  # first, because counting rows follows damaged pages in circles
    outputs, scores, runs = (_count(store, table) for table in ("outputs", "scores", "runs"))
    images = sorted(kept.files(store.images))
    whole = {path.stem for path in images if path.suffix == ".npy"}
    missing = sum(digest not in whole for (digest,) in store.select(_KEPT))
    rows = contents.orphans(store) if built else contents.faults(store)
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
    """Yield a line for each table that differs from this schema version."""
    for line in schema.differences(schema.parts_of(store.connection), schema.VERSION):
        yield f"{store.path}: {line}"


def _altered(store: Store, images: list[Path]) -> Iterator[str]:
    for path in images:
        if path.suffix == ".part":
            yield f"{path}: was left behind half-written; `mdnbench store compact` removes it."
        elif not kept.is_digest(path.stem) or path != kept.path_of(store.images, path.stem):
            yield f"{path}: is none of ours."
        elif kept.load(store.images, path.stem) is None:
            yield f"{path}: its pixels are not those that its name says. Remove it."
