"""Record which files are opened while images are loaded. They are the tested data, and no method may open them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

CODE = (".py", ".pyc", ".so", ".pyd")
_noting: dict[int, list[Path]] = {}  # by thread


@contextmanager
def noted() -> Iterator[list[Path]]:
    """Record the files that this thread opens for reading in the `with` block, except code.

    Yields:
        A list to which the absolute paths are appended.

    """
    _listen()
    found: list[Path] = []
    _noting[threading.get_ident()] = found
    try:
        yield found
    finally:
        del _noting[threading.get_ident()]


@cache
def _listen() -> None:
    """Install the audit hook once; Python cannot remove it, but it does almost nothing outside the `with` blocks."""
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _noting or threading.get_ident() not in _noting:
        return
    path, mode, _ = arguments
    if not isinstance(path, str | bytes | os.PathLike) or (isinstance(mode, str) and set(mode) & set("wax+")):
        return
    name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 (no symlink is followed)
    if not name.endswith(CODE):
        _noting[threading.get_ident()].append(Path(name))


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return the device and inode numbers of a file, which are the same under each of its names; None if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
