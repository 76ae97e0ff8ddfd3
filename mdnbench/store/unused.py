"""The parts of a store that no run refers to, and the space that they take."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from mdnbench.errors import StoreError
from mdnbench.store import stored_images
from mdnbench.store.database import Store
from mdnbench.store.manifests import OPENINGS
from mdnbench.util.limits import UNUSED_AFTER_S

_UNUSED = "SELECT id FROM outputs WHERE id NOT IN (SELECT output FROM run_cells)"
# Metrics' manifests have no outputs: scores refer to them by their tokens. Nothing refers to a record of an opening: it
# must outlive the results, because what the method has saved does.
_UNUSED_MANIFESTS = f"""
    DELETE FROM manifests WHERE id NOT IN (SELECT manifest FROM outputs WHERE manifest IS NOT NULL)
    AND token NOT IN (SELECT DISTINCT substr(revision, instr(revision, '+') + 1) FROM scores)
    AND scope NOT LIKE '{OPENINGS}%'
"""
_USED_DIGESTS = "SELECT DISTINCT output_digest FROM outputs WHERE id IN (SELECT output FROM run_cells)"


@dataclass(frozen=True, slots=True)
class Unused:
    """The unused parts of a store.

    Attributes:
        outputs: The number of outputs that belong to no run.
        images: The image files that belong to no other output.
        image_bytes: The size of these files.
    """

    outputs: int
    images: tuple[Path, ...]
    image_bytes: int


def find(store: Store) -> Unused:
    """Return what `remove` would remove. Images of the last hour are kept, because a run may refer to them soon."""
    used = {digest for (digest,) in store.select(_USED_DIGESTS)}
    outputs = next(store.select(f"SELECT count(*) FROM ({_UNUSED})"))[0]
    files = (
        path
        for path in sorted(stored_images.files(store.images))
        if path.suffix in (".npy", ".part") and _is_file(path)
    )
    images = tuple(path for path in files if (path.suffix == ".part" or path.stem not in used) and _is_old(path))
    return Unused(outputs, images, sum(path.stat().st_size for path in images))


def remove(store: Store) -> int:
    """Remove the unused parts and free their space on the disk. Do not call this during a run.

    Returns:
        The number of bytes that became free.

    Raises:
        StoreError: The file cannot be compacted now.
    """
    before = store.path.stat().st_size
    found = find(store)
    with store.transaction():
        # For every deleted output, SQLite searches cells that refer to it: without an index, it would read all cells.
        store.connection.execute("CREATE INDEX by_output ON run_cells (output)")
        store.connection.execute(f"DELETE FROM outputs WHERE id IN ({_UNUSED})")
        store.connection.execute("DROP INDEX by_output")
        store.connection.execute("DELETE FROM provenances WHERE id NOT IN (SELECT provenance FROM outputs)")
        store.connection.execute(_UNUSED_MANIFESTS)
    for path in found.images:
        path.unlink(missing_ok=True)
    store.allow_writing()
    try:
        store.connection.execute("VACUUM")
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StoreError(f"the store {store.path} cannot be compacted now: {error}. Nothing is lost.") from error
    return max(0, before - store.path.stat().st_size) + found.image_bytes


def _is_file(path: Path) -> bool:
    """Return whether the path is an ordinary file, and not a link or pipe."""
    return path.is_file() and not path.is_symlink()


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > UNUSED_AFTER_S
