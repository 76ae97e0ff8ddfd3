"""How code is compiled: once on a machine, under a lock, before anything is timed.

Numba compiles each function for this processor when its module is imported and keeps the result in a folder. The folder
is NUMBA_CACHE_DIR if that is set, otherwise `numba` in mdnbench's home. If it cannot be written, each process compiles
anew, and a warning says so.
"""

from __future__ import annotations

import functools
import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import filelock
import numba
from numba.core import config

from mdnbench_bm3d.preparation import LOCK, cache_folder, mark

MODULES = ("mdnbench_bm3d.blocks", "mdnbench_bm3d.groups", "mdnbench_bm3d.matching")
# Sums may be taken in another order than written, so that they use the processor's vector units. `bm3d` checks that no
# value is so large that it would become infinite. An edit here does not make numba compile again what it has kept.
FAST = {"contract", "reassoc", "nsz", "nnan", "ninf", "arcp"}
LOG = logging.getLogger("mdnbench.wrappers.bm3d")  # what is logged here is shown by a run


def compiled(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function for one signature; the function runs without Python's lock."""

    def decorate(function: Callable[..., Any]) -> Any:
        with _cache_folder() as kept:
            return numba.njit(signature, fastmath=FAST, nogil=True, cache=kept, error_model="numpy")(function)

    return decorate


@functools.cache
def prepare(profile: str) -> None:
    """Compile all code that a profile needs, or load what was compiled before.

    It waits for another process that does the same, so that nothing is compiled twice.
    """
    folder = cache_folder()
    with filelock.FileLock(folder / LOCK) if folder else nullcontext():
        missing = [name for name in MODULES if name not in sys.modules]
        if folder is None:
            LOG.warning("no folder for compiled code can be written, so each process compiles BM3D anew, for 20 s")
        elif missing and not any(folder.rglob("matching.*.nbi")):
            LOG.warning("BM3D is compiled, once on this machine; this takes about 20 s")
        for name in MODULES:
            importlib.import_module(name)
        if folder:
            mark(folder, profile).touch()


@contextmanager
def _cache_folder() -> Iterator[bool]:
    """Have numba keep compiled code in our folder; yield whether there is one."""
    folder = cache_folder()
    before = config.CACHE_DIR  # type: ignore[attr-defined]  # numba adds it when it is imported
    config.CACHE_DIR = str(folder or "")  # type: ignore[attr-defined]
    try:
        yield folder is not None
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]
