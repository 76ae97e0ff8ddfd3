"""One process at a time trains into a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mdnbench.errors import UsageError


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a training folder; UsageError where another process does.

    The operating system holds the lock for the process: it ends with its holder, however that ends, and a lock file
    that was left behind stops nobody.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        message = f"another process is training into {folder}; wait until it has ended, or stop it, and try again."
        raise UsageError(message) from None
    try:
        yield
    finally:
        lock.release()
