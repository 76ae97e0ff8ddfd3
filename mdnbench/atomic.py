"""Files that are written whole or not at all: another process sees the old one or the new one, and never half of it."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mdnbench import paths
from mdnbench.errors import StoreError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place at the end; after an error `path` is what it was.

    Its name ends in `.part`: a writer that is killed leaves it behind. OSError where the system refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield part
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


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
