"""Places: the folder that a run's files are in, and what a run is called where another folder's run has its name.

`run.json` in a folder names the run that is there. A run that was given a path has one in the workspace too, under
`runs/NAME`, which says in which folder its files are.

Folder and workspace may come from somebody else. So each is believed when it names the other, and nothing else is
written outside the workspace than what was asked for by its path.
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
    """What a `run.json` says of where its run is: the store, and the folder of the files if that is another one."""

    name: str
    store: str
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class RunLocation:
    """Where a run is: its name, the store that holds it, the folder of its files, and the file that says so."""

    name: str
    store: Path
    folder: Path
    file: Path


def read(folder: Path) -> RunLocation | None:
    """What the `run.json` of a folder says; None where there is none, BadFile where it cannot be read."""
    path = folder / FILE
    if not os.path.isfile(path):  # noqa: PTH113 (Path.is_file() raises where a name is too long)
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
    """The folder in the workspace of the run of this name."""
    return workspace / "runs" / (slug(name) if Path(name).name == name else name)


def require_store(said: RunLocation, workspace: Path) -> None:
    """Check that the store that a run's file names is this workspace's, or knows the folder of that file.

    Raises BadFile where it is another one: opening a store writes next to it.
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
    """Check that the files of a run may be written to the folder that was read for it.

    It has to be in the workspace, or have a `run.json` that names this store. BadFile where neither is so.
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
    """Check that a folder of the workspace is really in it; StoreError where a link leads elsewhere."""
    if folder.is_relative_to(workspace) and not folder.resolve().is_relative_to(workspace.resolve()):
        raise StoreError(
            f"{folder} leads to {folder.resolve()} by a link, outside the workspace; nothing was written. Remove the "
            "link; a link to the whole workspace is allowed."
        )


def relative(path: Path, folder: Path) -> str:
    """A path as seen from a folder, so that both can be moved together; whole where Windows has them on two drives."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()


def name_of(store: Store, folder: Path, plain: str) -> str:
    """The name of the run whose files go to a folder.

    That is the one it has already, or else `plain`, with a digest of the folder's path behind it where another folder's
    run is called `plain`.
    """
    said = _recorded_folder(folder)
    if said and _is_here(said, store, folder) and store.run(said.name) and _may_have(store, folder, said.name):
        return said.name
    if _may_have(store, folder, plain):
        return plain
    return slug(f"{plain}-{of_parts('folder', folder.resolve().as_posix())[:8]}")


def write_reference(store: Store, folder: Path, name: str) -> None:
    """Leave word in the workspace of a run whose files are elsewhere, and there of the workspace."""
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
    """Whether a name is free, or that of the folder's own run."""
    if store.run(name) is None:
        return True
    here = run_folder(store.path.parent, name)
    if said := _recorded_folder(here):
        return _same(said.folder, folder)
    mine = _recorded_folder(folder)
    return _same(here, folder) or (mine is not None and mine.name == name and _is_here(mine, store, folder))


def _recorded_folder(folder: Path) -> RunLocation | None:
    try:
        return read(folder)
    except BadFile:
        return None


def _is_here(said: RunLocation, store: Store, folder: Path) -> bool:
    return _same(said.store, store.path) and _same(said.folder, folder)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
