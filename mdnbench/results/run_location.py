"""Find the folder with a run's files, and choose a run's name if a run in another folder already has it.

`run.json` in a folder names the run in that folder. A run with a path also has a `run.json` in the workspace, under
`runs/NAME`, which names the folder with its files.

Folder and workspace may come from somebody else. So a `run.json` is only followed if the other place names it too, and
nothing is written outside the workspace except to a path that the user requested.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mdnbench.errors import BadFile, MdnbenchError, StoreError
from mdnbench.store import Store
from mdnbench.util import jsonfile
from mdnbench.util.digests import of_parts
from mdnbench.util.slugs import is_slug, slug

FILE = "run.json"


@dataclass(frozen=True, slots=True)
class Note:
    """The keys of a `run.json` that locate a run.

    Attributes:
        name: The run's name.
        store: The path of the store, relative to the folder of this file.
        folder: The path of the folder with the run's files, relative to the folder of this file. None if it is the same
            folder.

    """

    name: str
    store: str
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class RunLocation:
    """The location of a run.

    Attributes:
        name: The run's name.
        store: The path of the store that holds it.
        folder: The folder with its files.
        file: The `run.json` from which this was read.

    """

    name: str
    store: Path
    folder: Path
    file: Path


def read(folder: Path) -> RunLocation | None:
    """Read the location of a run from the `run.json` of a folder.

    Returns:
        The location, or None if there is no `run.json`.

    Raises:
        BadFile: If the file cannot be read or is not valid.

    """
    path = folder / FILE
    if not os.path.isfile(path):  # noqa: PTH113 (Path.is_file() raises an error if a name is too long)
        return None
    said = jsonfile.read(path, "run's file", Note)
    if not is_slug(said.name):
        raise BadFile(f"the run's file {path} names the run {said.name!r}, a name that no run gets; remove the file.")
    try:
        (folder / said.store).resolve()
        return RunLocation(
            said.name, folder / said.store, (folder / said.folder).resolve() if said.folder else folder, path
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise BadFile(f"the run's file {path} cannot be followed: {error}. Remove the file.") from None


def run_folder(workspace: Path, name: str) -> Path:
    """Return the folder in the workspace for the run of this name."""
    return workspace / "runs" / (slug(name) if Path(name).name == name else name)


def require_store(said: RunLocation, workspace: Path) -> None:
    """Check that a run's file names the store of this workspace, or a store with a run in the folder of that file.

    The check comes first, because opening a store writes next to it.

    Raises:
        BadFile: If it names any other store.

    """
    folder, theirs = said.file.parent.resolve(), said.store.parent.resolve()
    if theirs == workspace.resolve() or folder.is_relative_to(theirs) or theirs.is_relative_to(folder):
        return
    note = _recorded_folder(run_folder(theirs, said.name))
    if note is None or not _same(note.folder, folder):
        raise BadFile(
            f"the run's file {said.file} names the store {said.store}, which has no run in this folder. Give the "
            "command in the folder of that store, with the name of a run; or remove the file."
        )


def require_ours(store: Store, name: str, folder: Path) -> None:
    """Check that the files of a run may be written to a folder that was read from a `run.json`.

    The folder must be in the workspace, or have a `run.json` that names this store.

    Raises:
        BadFile: If neither is true.

    """
    if folder.resolve().is_relative_to(store.path.parent.resolve()):
        return
    there = _recorded_folder(folder)
    if there is None or not _same(there.store, store.path):
        note = run_folder(store.path.parent, name) / FILE
        raise BadFile(
            f"the files of the run {name!r} are in {folder}, says {note}, but no run of this store is there; nothing "
            "was written. Name a folder with --out, or remove that file."
        )


def require_inside(workspace: Path, folder: Path) -> None:
    """Check that a folder of the workspace is not a link to a place outside it.

    Raises:
        StoreError: If it is.

    """
    if folder.is_relative_to(workspace) and not folder.resolve().is_relative_to(workspace.resolve()):
        raise StoreError(
            f"{folder} leads to {folder.resolve()} by a link, outside the workspace; nothing was written. Remove the "
            "link; a link to the whole workspace is allowed."
        )


def relative(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, which stays valid if both are moved together.

    On Windows the path is absolute if the two are on different drives.
    """
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()


def name_of(store: Store, folder: Path, plain: str) -> str:
    """Return the name of the run whose files go to a folder.

    If the folder already has a run, it keeps that run's name. Otherwise the name is `plain`. If the run of that name
    has another folder, a digest of this folder's path is added to it.

    Args:
        store: The store.
        folder: The folder for the run's files.
        plain: The name to use if it is free.

    """
    said = _recorded_folder(folder)
    if said and _is_here(said, store, folder) and store.run(said.name) and _may_have(store, folder, said.name):
        return said.name
    if _may_have(store, folder, plain):
        return plain
    return slug(f"{plain}-{of_parts('folder', folder.resolve().as_posix())[:8]}")


def write_reference(store: Store, folder: Path, name: str) -> None:
    """Write a `run.json` to the workspace that names a run's folder, and one to the folder that names the store.

    A run in its usual folder of the workspace needs neither. An old reference to another folder is removed.

    Args:
        store: The store of the workspace.
        folder: The folder with the run's files.
        name: The run's name.

    Raises:
        StoreError: If a link leads outside the workspace.
        MdnbenchError: If a file cannot be written.

    """
    here = run_folder(store.path.parent, name)
    require_inside(store.path.parent, here)
    said = _recorded_folder(here)
    try:
        if not _same(folder, here):
            here.mkdir(parents=True, exist_ok=True)
            jsonfile.write(here / FILE, Note(name, relative(store.path, here), relative(folder, here)))
            if _recorded_folder(folder) is None:
                jsonfile.write(folder / FILE, Note(name, relative(store.path, folder)))
        elif said and not _same(said.folder, here):
            (here / FILE).unlink()
    except OSError as error:
        raise MdnbenchError(f"the folder of run {name!r} cannot be noted in {here}: {error}.") from error


def _may_have(store: Store, folder: Path, name: str) -> bool:
    """Return whether the run of a folder may have this name: it is free, or the folder's run has it already."""
    if store.run(name) is None:
        return True
    here = run_folder(store.path.parent, name)
    if said := _recorded_folder(here):
        return _same(said.folder, folder)
    mine = _recorded_folder(folder)
    return _same(here, folder) or (mine is not None and mine.name == name and _is_here(mine, store, folder))


def _recorded_folder(folder: Path) -> RunLocation | None:
    """Return the location in a folder's `run.json`; None if there is none or it is not valid."""
    try:
        return read(folder)
    except BadFile:
        return None


def _is_here(said: RunLocation, store: Store, folder: Path) -> bool:
    """Return whether a location is in this store and this folder."""
    return _same(said.store, store.path) and _same(said.folder, folder)


def _same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same place."""
    return one.resolve() == other.resolve()
