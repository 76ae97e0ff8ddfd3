"""One process at a time trains into a folder, or the processes that torchrun started together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mdnbench.errors import UsageError
from mdnbench.training import ranks
from mdnbench.util import atomic


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a training folder; UsageError where another process does, StoreError where it cannot be written.

    The operating system holds the lock for the process: it ends with its holder, however that ends, and a lock file
    that was left behind stops nobody. Of processes that train together the first holds it.
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
