"""Index folders of installed packages: their distributions, their entry points, and which one provides a module.

importlib.metadata offers this too, but its import and its parsing of METADATA files take tens of milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

_TOP = re.compile(rb'"?([^/,\n]+)')


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution: its normalised name, its version, and the folder (or file) of its metadata."""

    name: str
    version: str
    path: str

    def read(self, name: str) -> bytes:
        """Return the bytes of one of its metadata files; nothing if there is no such file."""
        with contextlib.suppress(OSError), open(os.path.join(self.path, name), "rb") as file:  # noqa: PTH118, PTH123
            return file.read()
        return b""

    def written(self) -> tuple[str, str]:
        """Return its name and version as its author writes them."""
        name, version = self.name, self.version
        for line in (self.read("METADATA") or self.read("PKG-INFO")).decode("utf-8", "replace").splitlines():
            if not line:  # the header ends, and a description begins
                break
            if line.startswith("Name:"):
                name = line.removeprefix("Name:").strip()
            elif line.startswith("Version:"):
                version = line.removeprefix("Version:").strip()
        return name, version

    def entry_points(self, group: str) -> Iterator[tuple[str, str]]:
        """Yield the name and the value of each of its entry points in a group."""
        inside = False
        for line in map(str.strip, self.read("entry_points.txt").decode("utf-8", "replace").splitlines()):
            if line.startswith("["):
                inside = line == f"[{group}]"
            elif inside and line and not line.startswith("#"):
                name, _, value = line.partition("=")
                yield name.strip(), value.strip()

    def editable(self) -> bool:
        """Return whether the distribution is an editable install."""
        with contextlib.suppress(ValueError, AttributeError):
            found = json.loads(self.read("direct_url.json") or b"{}")
            return bool((found.get("dir_info") or {}).get("editable"))
        return False

    def tops(self) -> set[str]:
        """Return the names of its top-level packages and modules, from top_level.txt or RECORD."""
        if listed := self.read("top_level.txt"):
            return set(listed.decode("utf-8", "replace").split())
        listed = self.read("RECORD")
        found = set()
        place = 0
        while match := _TOP.match(listed, place):
            top = match[1]
            found.add(os.fsdecode(top.partition(b".")[0]))
            # A RECORD is long and usually sorted: jump to the last line of the same package.
            last = listed.rfind(b"\n" + top + b"/", match.start())
            place = listed.find(b"\n", last + 1 if last >= 0 else match.start()) + 1
            if not place:
                break
        return found

    def brings(self, top: str) -> bool:
        """Return whether its RECORD lists files of this top-level package or module, in any order."""
        listed = b"\n" + self.read("RECORD")
        return any(b"\n" + os.fsencode(top) + mark in listed for mark in (b"/", b"."))

    def lists(self, path: str) -> bool:
        """Return whether its RECORD lists this path (relative, with '/')."""
        record = self.read("RECORD")
        wanted = os.fsencode(path) + b","
        return record.startswith(wanted) or b"\n" + wanted in record or b'\n"' + os.fsencode(path) + b'",' in record


def normalised(name: str) -> str:
    """Return the normalised name of a distribution, which is the same for all spellings."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Folder:
    """A folder of installed packages: its distributions, and which of them provides a module."""

    def __init__(self, folder: str) -> None:
        self.distributions = {each.name: each for each in _distributions(folder)}
        self._owners: dict[str, list[Distribution]] = {}
        self._all: dict[str, list[Distribution]] | None = None
        self._editable: dict[str, bool] = {}

    def owners(self, top: str) -> list[Distribution]:
        """Return the distributions that have files of this top-level module or package of the folder."""
        if top not in self._owners:
            self._owners[top] = self._find(top)
        return self._owners[top]

    def editable(self, found: Distribution) -> bool:
        """Return whether a distribution is editable; its metadata is read once."""
        if found.name not in self._editable:
            self._editable[found.name] = found.editable()
        return self._editable[found.name]

    def _find(self, top: str) -> list[Distribution]:
        named = self.distributions.get(normalised(top))
        if named and top in named.tops():
            return [named]  # most distributions are named like their package; those of a namespace package never are
        if self._all is None:
            self._all = {}
            for each in self.distributions.values():
                for found in each.tops():
                    self._all.setdefault(found, []).append(each)
        return self._all.get(top) or [each for each in self.distributions.values() if each.brings(top)]


def _distributions(folder: str) -> Iterator[Distribution]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122
            if suffix not in (".dist-info", ".egg-info"):
                continue
            name, _, version = stem.partition("-")
            if suffix == ".egg-info":
                version = version.partition("-py")[0]
            if name:
                yield Distribution(normalised(name), version, entry.path)


_folders: dict[str, tuple[int, Folder]] = {}


def folder_of(folder: str) -> Folder:
    """Return the index of a folder; it is rebuilt when the folder's modification time changes."""
    try:
        changed_at = os.stat(folder).st_mtime_ns  # noqa: PTH116
    except OSError:
        changed_at = 0
    known = _folders.get(folder)
    if known is None or known[0] != changed_at:
        known = _folders[folder] = (changed_at, Folder(folder))
    return known[1]


def importable() -> Iterator[Distribution]:
    """Yield the distributions in the folders of `sys.path`; of several with one name the first, which is imported."""
    seen = set()
    for entry in sys.path:
        for name, found in folder_of(entry or os.getcwd()).distributions.items():  # noqa: PTH109
            if name not in seen:
                seen.add(name)
                yield found
