"""The lock of a training folder: only one process, or those that torchrun started together, may train into it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mdnbench.errors import UsageError
from mdnbench.training import ranks
from mdnbench.util import atomic


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a training folder. Of processes that train together, the first one holds it.

    The operating system releases the lock when the process ends in any way, so a lock file that remains does not block
    others.

    Raises:
        UsageError: Another process holds the lock.
        StoreError: The folder cannot be written.
    """
    if not ranks.first():
        yield
        return
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock")
    with atomic.below(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            message = f"another process is training into {folder}; wait until it has ended, or stop it, and try again."
            raise UsageError(message) from None
    try:
        yield
    finally:
        lock.release()
