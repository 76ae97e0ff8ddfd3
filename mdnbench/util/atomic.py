"""Files that are written whole or not at all: another process sees the old one or the new one, and never half of it.

Everything that mdnbench writes goes through here, but for the store, whose file is SQLite's. A link in a file's place
is replaced, and never followed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from mdnbench.errors import StoreError
from mdnbench.util import paths, temporary


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place at the end; after an error `path` is what it was.

    What a writer leaves behind that is killed goes when the next one writes in the same folder. OSError where the
    system refuses, and for a device, which must not be replaced.
    """
    if path.is_char_device() or path.is_block_device():
        raise OSError(errno.EINVAL, f"{path} is a device")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = temporary.part_of(path)
    try:
        yield part
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all; OSError where the system refuses.

    Line ends stay as they are. File names may hold bytes that are no UTF-8: they are written as escapes.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_out(path: Path, text: str) -> None:
    """Write a text to a path that a person has named: a file whole or not at all, and a device or pipe as it is.

    OSError where the system refuses.
    """
    if (path.exists() and not path.is_file()) or (path.is_symlink() and path.parts[1:2] in (("dev",), ("proc",))):
        path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    else:
        write(path, text)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write bytes, whole or not at all; OSError where the system refuses."""
    with replacing(path) as part:
        part.write_bytes(content)


def write_all(texts: Mapping[Path, str]) -> None:
    """Write new files with these texts, all of them or none; OSError where the system refuses."""
    written: list[Path] = []
    try:
        for path, text in texts.items():
            write(path, text)
            written.append(path)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def append(path: Path, text: str) -> None:
    """Add lines to the end of a text file: all of them, or it is as it was; OSError where the system refuses."""
    left = text.encode("utf-8", "backslashreplace")
    with path.open("ab", buffering=0) as file:
        before = file.seek(0, os.SEEK_END) if file.seekable() else 0
        try:
            while left:
                left = left[file.write(left) :]
        except BaseException:
            if file.seekable():
                file.truncate(before)
            raise


def subfolder(folder: Path, name: str) -> Path:
    """Make a folder in another one and return it; a link in its place is refused, since it may lead anywhere.

    OSError where the system refuses.
    """
    path = folder / name
    if path.is_symlink():
        raise OSError(errno.ENOTDIR, f"{path} is a link; remove it")
    path.mkdir(exist_ok=True)
    return path


def ready(folder: Path) -> None:
    """Make a folder where it is not there, and try whether files can be made in it; StoreError where not."""
    with below(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


@contextlib.contextmanager
def below(folder: Path) -> Iterator[None]:
    """What is done in here writes below a folder: StoreError, which says what to do, where the system refuses."""
    try:
        yield
    except OSError as error:
        ours = folder.is_relative_to(paths.home())
        other = "point MDNBENCH_HOME at a folder that can be written" if ours else "choose another folder"
        raise StoreError(f"{folder} cannot be written: {error.strerror or error}. Make room, or {other}.") from None
