"""Check, compact and merge the store of a workspace."""

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
    """Check every page, row and kept image of the store.

    Args:
        workspace_folder: The workspace; by default `.mdnbench` in the current folder.

    Returns:
        The numbers of runs, outputs, scores and images, and a line for each problem.

    Raises:
        NothingToDo: If there is no store.
    """
    with open_store(_existing(workspace_folder), prepare=schema.prepare_to_check) as store:
        return row_checks.check(store)


def unused_results(*, workspace_folder: Path | None = None) -> Unused:
    """Return the results that no run of the store refers to, which `compact_store` would remove.

    Raises:
        NothingToDo: If there is no store.
    """
    with open_store(_existing(workspace_folder)) as store:
        return unused.find(store)


def compact_store(*, workspace_folder: Path | None = None) -> int:
    """Remove the results that no run of the store refers to. Do not call this during a run.

    Returns:
        The number of bytes that were freed.

    Raises:
        NothingToDo: If there is no store.
    """
    with open_store(_existing(workspace_folder)) as store:
        return unused.remove(store)


def merge_store(other: Path, *, workspace_folder: Path | None = None) -> Merged:
    """Copy the outputs, scores, runs and kept images of another store into the store of this workspace.

    Args:
        other: The path of the other store, or of its folder. It is only read.
        workspace_folder: The workspace; by default `.mdnbench` in the current folder.

    Returns:
        What was copied.
    """
    with open_store(workspace.locate(workspace_folder) / "results.sqlite") as store:
        return merging.merge(store, Path(other))


def _existing(workspace_folder: Path | None) -> Path:
    path = workspace.locate(workspace_folder) / "results.sqlite"
    if not path.is_file():
        raise NothingToDo(f"there is no store {path}; run something first.")
    return path
