"""The store of a workspace: its health, what can go, what comes from another one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.errors import NothingToDo
from mdnbench.store import merging, open_store, row_checks, schema, unused, workspace

if TYPE_CHECKING:
    from mdnbench.store.merging import Merged
    from mdnbench.store.row_checks import Health
    from mdnbench.store.unused import Unused


def check_store(*, workspace_folder: Path | None = None) -> Health:
    """Look at every page, row and kept image of the store: what there is, and one line for each problem."""
    with open_store(_existing(workspace_folder), prepare=schema.prepare_to_check) as store:
        return row_checks.check(store)


def unused_results(*, workspace_folder: Path | None = None) -> Unused:
    """What no run of the store refers to any more: what `compact_store` would remove."""
    with open_store(_existing(workspace_folder)) as store:
        return unused.find(store)


def compact_store(*, workspace_folder: Path | None = None) -> int:
    """Remove what no run of the store refers to any more; the bytes that became free. Not while a run is going on."""
    with open_store(_existing(workspace_folder)) as store:
        return unused.remove(store)


def merge_store(other: Path, *, workspace_folder: Path | None = None) -> Merged:
    """Bring the outputs, scores, runs and kept images of another store in; `other` is only read."""
    with open_store(workspace.locate(workspace_folder) / "results.sqlite") as store:
        return merging.merge(store, Path(other))


def _existing(workspace_folder: Path | None) -> Path:
    path = workspace.locate(workspace_folder) / "results.sqlite"
    if not path.is_file():
        raise NothingToDo(f"there is no store {path}; run something first.")
    return path
