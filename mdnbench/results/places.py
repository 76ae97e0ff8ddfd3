"""Places: the folder that a run's files are in, and what a run is called where another folder's run has its name.

`run.json` in a folder names the run that is there. A run that was given a path has one in the workspace too, under
`runs/NAME`, which says in which folder its files are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mdnbench import jsonfile
from mdnbench.digests import of_parts
from mdnbench.errors import BadFile, MdnbenchError
from mdnbench.slugs import slug
from mdnbench.store import Store

FILE = "run.json"
SHAPE = {"name": str, "store": str, "folder": (str, type(None))}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is: its name, the store that holds it, and the folder of its files."""

    name: str
    store: Path
    folder: Path


def read(folder: Path) -> Place | None:
    """What the `run.json` of a folder says; None where there is none, BadFile where it cannot be read."""
    path = folder / FILE
    if not os.path.isfile(path):  # noqa: PTH113 (Path.is_file() raises where a name is too long)
        return None
    said = jsonfile.read(path, "run's file", SHAPE)
    elsewhere = said.get("folder")
    return Place(said["name"], folder / said["store"], (folder / elsewhere).resolve() if elsewhere else folder)


def home(workspace: Path, name: str) -> Path:
    """The folder in the workspace of the run of this name."""
    return workspace / "runs" / (slug(name) if Path(name).name == name else name)


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
    said = _said(folder)
    if said and _is_here(said, store, folder) and store.run(said.name) and _may_have(store, folder, said.name):
        return said.name
    if _may_have(store, folder, plain):
        return plain
    return slug(f"{plain}-{of_parts('folder', folder.resolve().as_posix())[:8]}")


def remember(store: Store, folder: Path, name: str) -> None:
    """Leave word in the workspace of a run whose files are elsewhere."""
    here = home(store.path.parent, name)
    said = _said(here)
    try:
        if not _same(folder, here):
            here.mkdir(parents=True, exist_ok=True)
            content = {"name": name, "store": relative(store.path, here), "folder": relative(folder, here)}
            jsonfile.write(here / FILE, content)
        elif said and not _same(said.folder, here):
            (here / FILE).unlink()
    except OSError as error:
        raise MdnbenchError(f"the folder of run {name!r} cannot be noted in {here}: {error}.") from error


def _may_have(store: Store, folder: Path, name: str) -> bool:
    """Whether a name is free, or that of the folder's own run."""
    if store.run(name) is None:
        return True
    here = home(store.path.parent, name)
    if said := _said(here):
        return _same(said.folder, folder)
    mine = _said(folder)
    return _same(here, folder) or (mine is not None and mine.name == name and _is_here(mine, store, folder))


def _said(folder: Path) -> Place | None:
    try:
        return read(folder)
    except BadFile:
        return None


def _is_here(said: Place, store: Store, folder: Path) -> bool:
    return _same(said.store, store.path) and _same(said.folder, folder)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
