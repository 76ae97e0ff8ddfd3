"""Write files atomically: another process sees the old file or the new one, and never a partial one.

mdnbench writes all its files with this module, except the store, which SQLite writes. A symlink in the place of a file
is replaced and not followed.
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
    """Yield a temporary path next to `path`; at the end of the block, that file replaces `path`.

    After an error `path` is unchanged. If a writer is killed, its temporary file is removed when the next file is
    written in the same folder.

    Args:
        path: The file to write. Its folder is created if necessary.

    Raises:
        OSError: The system refuses to write, or `path` is a device, which must not be replaced.

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
    """Write a text atomically as UTF-8.

    Line ends are not converted. Bytes in file names that are not UTF-8 are written as escapes.

    Raises:
        OSError: The system refuses to write.

    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_out(path: Path, text: str) -> None:
    """Write a text to a path that the user has given.

    A file is written atomically. A device or a pipe is written to directly.

    Raises:
        OSError: The system refuses to write.

    """
    if (path.exists() and not path.is_file()) or (path.is_symlink() and path.parts[1:2] in (("dev",), ("proc",))):
        path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    else:
        write(path, text)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write bytes atomically; raise OSError if the system refuses."""
    with replacing(path) as part:
        part.write_bytes(content)


def write_all(texts: Mapping[Path, str]) -> None:
    """Write several new files; if one of them fails, remove the others and raise the error."""
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
    """Append lines to a text file.

    After an error the file is as it was before.

    Raises:
        OSError: The system refuses to write.

    """
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
    """Create a folder in another one and return its path.

    Raises:
        OSError: The system refuses, or there is a symlink of this name, which may lead anywhere.

    """
    path = folder / name
    if path.is_symlink():
        raise OSError(errno.ENOTDIR, f"{path} is a link; remove it")
    path.mkdir(exist_ok=True)
    return path


def ready(folder: Path) -> None:
    """Create a folder if it does not exist, and check that files can be created in it.

    Raises:
        StoreError: The folder cannot be written.

    """
    with below(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


@contextlib.contextmanager
def below(folder: Path) -> Iterator[None]:
    """Convert an OSError in the `with` block, which writes below a folder, to a StoreError with advice for the user."""
    try:
        yield
    except OSError as error:
        ours = folder.is_relative_to(paths.home())
        other = "point MDNBENCH_HOME at a folder that can be written" if ours else "choose another folder"
        raise StoreError(f"{folder} cannot be written: {error.strerror or error}. Make room, or {other}.") from None
