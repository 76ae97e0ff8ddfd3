"""Digests of code, which show whether a file or an installed package has changed since it produced a result.

A Python file has two digests: one of its bytes and one of its syntax (`syntax`). Any other file has the digest of its
bytes. An installed distribution has its version and the digest of its RECORD (`distributions`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mdnbench.errors import BadFile
from mdnbench.registry.distributions import package_entry
from mdnbench.registry.file_origin import CORE
from mdnbench.registry.syntax_digest import Syntax, syntax_of
from mdnbench.spec.records import Root, UsedFile
from mdnbench.util import jsonfile, limits, paths, untrusted

ABSENT = "absent"  # the content of a file that could not be opened because it did not exist
PYTHON = (".py", ".pyw")
LARGE = 1 << 20  # bytes; larger files are not read again while their size, inode and times stay the same
YOUNG = 2_000_000_000  # ns; a file that is younger may change again without another time stamp
KEPT = 2000  # entries of a cache file


@dataclass(slots=True)
class _Cache:
    """Texts by key in a JSON file of the home folder; texts that cannot be read are computed again."""

    name: str
    _entries: dict[str, str] | None = None
    _fresh: dict[str, str] = field(default_factory=dict)

    def get(self, key: str) -> str | None:
        if self._entries is None:
            self._entries = self._read()
        return self._fresh.get(key) or self._entries.get(key)

    def put(self, key: str, value: str) -> None:
        self._fresh[key] = value

    def save(self) -> None:
        """Add the new texts to the file's present content. If two processes save at once, one loses its new texts."""
        if not self._fresh:
            return
        entries = self._read()
        for key, value in self._fresh.items():
            entries.pop(key, None)  # the newest entries come last
            entries[key] = value
        entries = dict(list(entries.items())[-KEPT:])
        with contextlib.suppress(OSError, ValueError):
            jsonfile.write(self._path(), entries)
        self._entries, self._fresh = entries, {}

    def _path(self) -> Path:
        return paths.home() / "digests" / self.name

    def _read(self) -> dict[str, str]:
        try:
            return dict(jsonfile.read(self._path(), "cache", dict[str, str]))
        except BadFile:
            return {}


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it was read: its signature, whether that can be trusted, the digest of its bytes, and its text.

    The text is present for Python files only.
    """

    signature: str
    settled: bool
    content: str
    source: bytes | None = None


def _signature(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}"


def _settled(found: os.stat_result) -> bool:
    return time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > YOUNG


class Digests:
    """The digests of files; each file is read once per object while its size, inode and times stay the same.

    A new object reads small files again. For files over 1 MiB the digest of an earlier process is used if size, inode
    and times are the same, unless the file was younger than two seconds when it was read. Call `save` to store new
    digests for later processes.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], _Seen] = {}  # by device and inode: a file may have many names
        self._large = _Cache("files.json")
        # What does not parse in one version may parse in another.
        self._syntax = _Cache(f"syntax-{sys.version_info[0]}.{sys.version_info[1]}.json")

    def of(self, path: str | Path) -> tuple[str, str]:
        """Return the digest of a file's bytes and the digest of its code.

        Raises:
            OSError: The file cannot be read.

        """
        seen = self._look(os.fspath(path))
        return seen.content, self._meaning(path, seen).code if _is_python(path) else seen.content

    def content(self, path: str | Path) -> str:
        """Return the digest of a file's bytes, without parsing it."""
        return self._look(os.fspath(path)).content

    def imports(self, path: str | Path) -> tuple[str, ...]:
        """Return the full names of the modules that import statements anywhere in a Python file name."""
        return self._meaning(path, self._look(os.fspath(path))).imports

    def save(self) -> None:
        """Store the new digests for later processes; do nothing if the home folder cannot be written."""
        self._large.save()
        self._syntax.save()

    def _look(self, path: str) -> _Seen:
        found = os.stat(path)  # noqa: PTH116 (called often)
        key = (found.st_dev, found.st_ino)
        seen = self._seen.get(key)
        if seen and seen.settled and seen.signature == _signature(found):
            return seen
        seen = self._seen[key] = self._read(path)
        return seen

    def _read(self, path: str) -> _Seen:
        with open(
            path, "rb", opener=untrusted.without_wait
        ) as file:  # a manifest from another machine may name any path
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode) or before.st_size > limits.MAX_COUNTED_BYTES:
                raise OSError(f"{path} is no file of at most {limits.MAX_COUNTED_BYTES:,} bytes")
            signature = _signature(before)
            large = before.st_size > LARGE
            key = os.path.abspath(path)  # noqa: PTH100
            if large and (known := self._trusted(key, signature)):
                return _Seen(signature, True, known)
            if large and not _is_python(path):
                source, content = None, hashlib.file_digest(file, "sha256").hexdigest()
            else:
                source = file.read()
                content = hashlib.sha256(source).hexdigest()
            settled = _settled(before) and _signature(os.fstat(file.fileno())) == signature
        if large and settled:
            self._large.put(key, f"{signature} {content}")
            self._large.save()
        return _Seen(signature, settled, content, source if _is_python(path) else None)

    def _trusted(self, key: str, signature: str) -> str | None:
        known, _, content = (self._large.get(key) or "").rpartition(" ")
        return content if known == signature else None

    def _meaning(self, path: str | Path, seen: _Seen) -> Syntax:
        if kept := self._syntax.get(seen.content):
            code, *imports = kept.split()
            return Syntax(code, tuple(imports))
        source = seen.source if seen.source is not None else Path(path).read_bytes()
        found = syntax_of(source)
        # A large file is read a second time here and may have changed since the first.
        if seen.source is not None or hashlib.sha256(source).hexdigest() == seen.content:
            self._syntax.put(seen.content, " ".join([found.code, *found.imports]))
        return found


def _is_python(path: str | Path) -> bool:
    return os.fspath(path).lower().endswith(PYTHON)


def listed(kind: Root, root: Path, folders: Iterable[Path], digests: Digests) -> tuple[UsedFile, ...]:
    """Return records of every Python file in these folders, which are below `root`."""
    return tuple(
        UsedFile(kind, path.relative_to(root).as_posix(), *digests.of(path))
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
    )


def changed(files: Iterable[UsedFile], plugin_root: Path | None, digests: Digests) -> list[str]:
    """Return the names of files that have disappeared, have appeared, or have different code now."""
    names = [file.name for file in files if not _fits(file, plugin_root, digests)]
    digests.save()
    return names


def present(file: UsedFile, plugin_root: Path | None, digests: Digests) -> str:
    """Return the present code digest of a file, or '' if the file no longer exists."""
    if file.root == "package":
        entry = package_entry(file.name)
        return entry.code if entry else ""
    place = _place(file, plugin_root)
    try:
        return digests.of(place)[1] if place else ""
    except OSError:
        return ""


def _fits(file: UsedFile, plugin_root: Path | None, digests: Digests) -> bool:
    if file.root == "package":
        return (package := package_entry(file.name)) is not None and package.content == file.content
    path = _place(file, plugin_root)
    if path is None:
        return False
    try:
        if file.content == ABSENT:
            return not os.path.lexists(path)
        return digests.content(path) == file.content or (_is_python(path) and digests.of(path)[1] == file.code)
    except OSError:
        return False


def _place(file: UsedFile, plugin_root: Path | None) -> Path | None:
    if file.root == "mdnbench":
        return CORE / file.name
    if file.root == "plugin":
        return plugin_root / file.name if plugin_root else None
    return Path(file.name)
